// A record of every packet, for the ladder diagram and for Wireshark.
import type { Driver } from "./driver.js";

/** What the accounts on a set of sockets have sent and received, SIP and RTP, from when the first of them wanted it kept. */
export class Capture {
  readonly #driver: Driver;

  /** @internal */
  constructor(driver: Driver, limit?: number) {
    this.#driver = driver;
    driver.look((machine) => machine.capture(limit));
  }

  /** How many packets came after the limit was reached, and were not kept. */
  get missed(): number {
    return this.#driver.look((machine) => machine.missed());
  }

  /** Names an address in the ladder. */
  name(address: string, port: number, name: string): void {
    this.#driver.look((machine) => machine.nameAddress(address, port, name));
  }

  /** The ladder diagram so far, as text. */
  ladder(): string {
    return this.#driver.look((machine) => machine.ladder());
  }

  /** The same as a picture: an SVG document. */
  svg(): string {
    return this.#driver.look((machine) => machine.svg());
  }

  /** What was recorded so far as a pcap file, for Wireshark. */
  pcap(): Uint8Array {
    return this.#driver.look((machine) => machine.pcap());
  }
}
