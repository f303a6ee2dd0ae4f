// What a host says, on its way into the machine.
import type { Address, Identities, Inlet } from "./host.js";
import type { Machine, NaptrRecord, SrvRecord } from "./offhook_wasm.js";

/** What something that a host has said does to the machine. */
export type Deliver = (machine: Machine, now: number, bytes: Uint8Array) => void;

/** Gives what a host says to `arrive`; the bytes are good until that returns. */
export class MachineInlet implements Inlet {
  constructor(private readonly arrive: (deliver: Deliver, bytes?: Uint8Array) => void) {}

  datagram(flow: number, address: string, port: number, bytes: Uint8Array): void {
    this.arrive((machine, now, bytes) => machine.handleDatagram(now, flow, address, port, bytes), bytes);
  }

  stream(flow: number, address: string, port: number, bytes: Uint8Array): void {
    this.arrive((machine, now, bytes) => machine.handleStream(now, flow, address, port, bytes), bytes);
  }

  media(media: number, rtcp: boolean, address: string, port: number, bytes: Uint8Array): void {
    this.arrive((machine, now, bytes) => machine.handleMedia(now, media, rtcp, address, port, bytes), bytes);
  }

  flowOpened(id: number, flow: number, local: Address, certificate?: Identities): void {
    const { address, port } = local;
    this.arrive((machine, now) => machine.flowOpened(now, id, flow, address, port, certificate));
  }

  flowFailed(id: number, kind: "unreachable" | "untrusted" | "unsupported", problem?: string): void {
    this.arrive((machine, now) => machine.flowFailed(now, id, kind, problem));
  }

  flowAccepted(flow: number, from: Address, local: Address, certificate?: Identities): void {
    this.arrive((machine, now) =>
      machine.flowAccepted(now, flow, from.address, from.port, local.address, local.port, certificate),
    );
  }

  flowClosed(flow: number): void {
    this.arrive((machine, now) => machine.flowClosed(now, flow));
  }

  sendFailed(flow: number, address: string, port: number): void {
    this.arrive((machine, now) => machine.sendFailed(now, flow, address, port));
  }

  mediaBound(id: number, media: number, address: string, rtpPort: number, rtcpPort: number): void {
    this.arrive((machine, now) => machine.mediaBound(now, id, media, address, rtpPort, rtcpPort));
  }

  mediaUnavailable(id: number): void {
    this.arrive((machine, now) => machine.mediaUnavailable(now, id));
  }

  resolved(
    id: number,
    kind: "naptr" | "srv" | "addresses",
    records: readonly (string | SrvRecord | NaptrRecord)[],
    ttl?: number,
  ): void {
    this.arrive((machine, now) => machine.resolved(now, id, kind, records, ttl));
  }

  resolveFailed(id: number, problem: string): void {
    this.arrive((machine, now) => machine.resolveFailed(now, id, problem));
  }
}
