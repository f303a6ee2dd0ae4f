import type { Identities, Needs, Transport } from "./host.js";

/** How a phone is set up. Without `server` it registers nowhere, calls and is called directly. */
export interface PhoneParameters {
  /** The registrar and proxy, `HOST` or `HOST:PORT`. */
  server?: string;
  /** The server's port, in place of that in `server`; 0 leaves it to DNS. */
  port?: number;
  /** The user element of our URI. */
  user: string;
  password?: string;
  /** The name to authenticate with; default `user`. */
  authUser?: string;
  /** The realm in which the password holds; default that of the server's first challenge. */
  realm?: string;
  /** Names and passwords beside `password`, for servers, realms and users of their own. */
  credentials?: readonly Credentials[];
  /** Whether to answer a server that asks with MD5 only. Default true. */
  allowMd5?: boolean;
  displayName?: string;
  /**
   * The URN of this very phone, the same each time: `urn:uuid:` and a UUID that was made once. A server
   * that knows outbound (RFC 5626) then calls it along the connection it has opened.
   */
  instance?: string;
  /** A SIP URI through which every request goes. */
  outboundProxy?: string;
  /**
   * How to reach the server, and targets whose URI does not say. Default what DNS says, and else UDP. With
   * TLS or WSS the server is never reached by another transport.
   */
  transport?: Transport | Lowercase<Transport>;
  /**
   * Whether a phone on UDP also uses TCP: it listens at the same port, and what is too long for a datagram
   * goes by TCP. Default true.
   */
  allowTcp?: boolean;
  /** The path of a WebSocket server's URL, with its query if there is one. Default `/`. */
  websocketPath?: string;
  /**
   * A file of the authorities that may sign the certificates of servers, in PEM; a server's own certificate
   * in it is trusted as well. Default those of the system.
   */
  caFile?: string;
  /** Our certificate, and after it those up to its authority. Without one nobody can call us over TLS. */
  certFile?: string;
  /** Its private key. Default `certFile`, which then has both. */
  keyFile?: string;
  /** The password of an encrypted key; a function is asked each time that the phone opens its sockets. */
  keyPassword?: string | (() => string);
  /** The authorities that may sign the certificates of those who connect to us. Default: none is asked for. */
  clientCaFile?: string;
  /** Whether any certificate of any server is taken: for tests. Default false. */
  tlsInsecure?: boolean;
  /** The DNS servers to ask, "192.0.2.53" or "192.0.2.53:5353"; for what they do not know, as by
   * default, the system. */
  dnsServers?: string[];
  /** The address to bind, `IP` or `IP:PORT`; port 0 picks one. Default `0.0.0.0:5060`. */
  bind?: string;
  /** The peers that are told `hostname`, as `192.168.0.0/16`; others are told `remoteHostname`. */
  bindNetwork?: string;
  hostname?: string;
  remoteHostname?: string;
  /**
   * Whether to tell the server, behind a NAT, the address from which it sees us, in Contact and in
   * session descriptions. Default true.
   */
  learnAddress?: boolean;
  /**
   * A STUN server, `host[:port]`, that is asked how our sockets are seen from beyond a NAT: that of
   * signalling before we register, and the ports of each call before they are told. Default none.
   */
  stun?: string;
  /** What keeps the way from the server to us open while we are registered. Default `auto`. */
  keepAlive?: "auto" | "off" | "crlf" | "stun" | "options";
  /** How often that is sent, at most, in seconds. Default what the server asks for, or 25. */
  keepAliveInterval?: number;
  /** How far RTP may come from elsewhere than its description says. Default `first-packet`. */
  symmetricRtp?: "off" | "first-packet" | "same-address";
  /** Default true. */
  register?: boolean;
  /** How long a registration is asked for, in seconds. Default 120. */
  expires?: number;
  /** How many registrations in a row may fail before the phone has failed. Default 5. */
  registrationAttempts?: number;
  /**
   * How long `start` may take until the server has registered us, in seconds. Default as long as the
   * attempts take.
   */
  startTimeout?: number;
  /** The lowest and the highest RTP port. Default 10000 and 20000. */
  rtpPorts?: [low: number, high: number];
  /** The codecs offered and accepted, best first: PCMU, PCMA, G722. Default PCMU, PCMA. */
  codecs?: string[];
  /** How much audio each packet carries, in milliseconds. Default 20. */
  ptime?: number;
  userAgent?: string;
  /** How long an outgoing call may ring, in seconds. Default 180. */
  answerTimeout?: number;
  /** How many targets of redirections a call follows. Default 5; 0 none. */
  maxRedirects?: number;
  /** How long an answered call may be without media, in seconds; 0 for ever. Default 60. */
  mediaTimeout?: number;
  maxCalls?: number;
  /** Whether to answer calls to any user. Default true. */
  acceptAnyUser?: boolean;
  /** Whether the far end of a call may ask us to call somebody else. Default false. */
  acceptTransfer?: boolean;
  /** `IP:PORT` to which every request is sent, whatever its URI says: for tests. */
  nextHop?: string;
}

/** A name and password, and where they may be shown; the most particular that fits is. */
export interface Credentials {
  username: string;
  password: string;
  /** The server, as the phone was given it. Default any. */
  server?: string;
  realm?: string;
  /** The user of the phone's own URI. */
  user?: string;
}

/** How an outgoing call departs from the phone's parameters. */
export interface CallOptions {
  /** Header fields to add to the INVITE. */
  headers?: [name: string, value: string][] | Record<string, string>;
  codecs?: string[];
  direction?: MediaDirection;
  /** How many audio streams to offer, 1 to 4. Default 1. */
  streams?: number;
  /** Whether to leave the offer to the far end. Default false. */
  lateOffer?: boolean;
  /** How many times to follow a redirection; by default as the phone's parameters say. */
  maxRedirects?: number;
}

/** How a call is transferred. */
export interface TransferOptions {
  /**
   * `blind`, the default: done when the far end has agreed to call the target, and the call ends then.
   * `notified`: when it says that the target has answered; when it was not reached, the call goes on.
   */
  mode?: "blind" | "notified";
  /** Whether to tell the target who transfers the call (Referred-By). Default true. */
  referredBy?: boolean;
  /** Whether to ask for no reports of a blind transfer (RFC 4488). Default false. */
  noReports?: boolean;
  /** Whether to send REFER outside the call's dialog, with Target-Dialog. Default false. */
  outsideDialog?: boolean;
}

/** What a request of any other method holds. */
export interface RequestOptions {
  headers?: [name: string, value: string][] | Record<string, string>;
  body?: string | Uint8Array;
  /** The type of the body. Default `text/plain`. */
  contentType?: string;
}

export type MediaDirection = "sendrecv" | "sendonly" | "recvonly" | "inactive";
export type PhoneStatus = "inactive" | "registering" | "registered" | "deregistering" | "failed";
export type CallState = "dialing" | "ringing" | "progress" | "answered" | "canceling" | "ended";

/** The response that explains an event, if one does. */
interface Caused {
  /** The SIP status code, 100 to 699. */
  code?: number;
  reason?: string;
  /** After how many seconds it may be tried again, if the response says so. */
  retryAfter?: number;
}

/** What happened, on an account (`line`) and perhaps on one of its calls. A call's last event is `ended`. */
export type MachineEvent = { line: number } & (AccountEvent | CallEvent);

/** What happened on an account. */
export type AccountEvent =
  | { type: "status"; status: PhoneStatus }
  | { type: "registered"; expires: number }
  | { type: "unregistered" }
  | ({ type: "registrationFailed"; error?: PhoneError } & Caused)
  | { type: "incoming"; call: number; from: string; to: string }
  /** Somebody has called, and was refused for want of room, ports or an address; there is no call. */
  | { type: "callRefused"; from: string; to: string; code: number; error: PhoneError }
  | { type: "message"; from: string; to: string; body: Uint8Array; contentType: string }
  /** The answer to a request of ours: its final response, or without `code` none came. */
  | ({
      type: "response";
      request: number;
      headers?: [string, string][];
      body?: Uint8Array;
      /** The parts of the body (RFC 5621). */
      parts?: BodyPart[];
      /** From sending the request to the response. */
      roundTripMs?: number;
      /** What was in the way of sending it, if that is known. */
      error?: PhoneError;
    } & Caused)
  /** A `sipHandler` has thrown `error`, or has returned what cannot be; its message went on as it was. */
  | { type: "handlerFailed"; method: keyof SipHandler | "sipHandler"; error: unknown };

/** What happened on a call. */
export type CallEvent = { call: number } & (
  | ({ type: "state"; state: CallState } & Caused)
  /** One side put the other on hold, or took it off it. */
  | { type: "hold"; by: "local" | "remote"; held: boolean }
  /** A hold (or, not `held`, a resume) of ours came to nothing. */
  | ({ type: "holdFailed"; held: boolean } & Caused)
  /** The far end changed the session: codec, direction, or where its media is. */
  | { type: "renegotiated" }
  /** A transfer of ours came further, or, `last`, to its end. The response is that to REFER, or the target's. */
  | ({ type: "transfer"; to: string; outcome: TransferOutcome; last: boolean } & Caused)
  /** The far end wants us to call `to` instead; `by` is who wants it, and nobody has proved it. */
  | { type: "referred"; referral: number; to: string; by: string }
  | { type: "dtmf"; digit: string; durationMs: number }
  /** A mark that was set was reached: by sound that was sent, or, not played, that was dropped. */
  | { type: "mark"; name: string; played: boolean }
  | { type: "dtmfSent" | "audioSent" | "silent" | "goodbye" }
  | ({
      type: "ended";
      by: EndedBy;
      error?: PhoneError;
      /** How long it took to be answered; missing when it was not. */
      setupMs?: number;
      /** How long it was up. */
      durationMs: number;
      /** Why, where whoever has ended it says more than the status. */
      reasons: Reason[];
      /** Whether another of the phones that rang has answered. */
      answeredElsewhere: boolean;
      stats: CallStats;
    } & Caused)
);

/** Why a call ends (RFC 3326): beside the status, or what a telephone network says. */
export interface Reason {
  /** Whose numbers `cause` is one of: `SIP`, a status code, or `Q.850`, a telephone network's cause. Default SIP. */
  protocol?: string;
  cause?: number;
  /** The same in words; of ours the first 128 characters. */
  text?: string;
}

/** A part of a body, and what is said about it; a body that is no multipart is one part. */
export interface BodyPart {
  /** The value of Content-Type; `text/plain` where there is none. */
  contentType: string;
  /** What it holds, as it came. */
  body: Uint8Array;
  /** Its header fields, in order. */
  headers: [name: string, value: string][];
}

/** What an account has counted since it was added. */
export interface Counters {
  /** SIP messages that could be read. */
  received: number;
  /** Datagrams that were no SIP message and could not be answered. */
  malformed: number;
  /** Responses to nothing that was asked, and requests that cannot be answered. */
  stray: number;
  /** Requests refused because a limit was reached. */
  refused: number;
  /** Calls refused for want of room, ports or an address. */
  callsRefused: number;
  /** Challenges that were not answered: another server's, another realm's, or without a password. */
  unansweredChallenges: number;
  /** Changes and answers of a `sipHandler` that could not be. */
  changesRefused: number;
  /** How often a call, or the start, went on without an answer of the STUN server. */
  unmapped: number;
}

/** A registration as the server's last 200 described it. */
export interface Binding {
  /** The URI at which the server reaches us. */
  contact: string;
  /** The proxies by way of which it reaches us (Path), the one next to it first. */
  path: string[];
  /** The proxies by way of which our requests go (Service-Route), in order. */
  serviceRoute: string[];
  /** Whether it reaches us along the flow that we have registered on (RFC 5626). */
  outbound: boolean;
  /** How often it wants a keep-alive on that flow, in seconds. */
  flowTimer?: number;
}

/** A response of one's own in place of the phone's: 200 to 699, to INVITE 300 to 699. */
export interface SipAnswer {
  status: number;
  reason?: string;
  headers?: [name: string, value: string][] | Record<string, string>;
  body?: string | Uint8Array;
  /** The type of the body. Default `text/plain`. */
  contentType?: string;
}

/**
 * Sees every SIP message of an account once, and may change, answer or drop it. Each method returns at once:
 * nothing or "pass" lets the message go on with its changes. It cannot command its phone. A message of which
 * it throws goes on as it was. It sees secrets too: think before logging.
 */
export interface SipHandler {
  /** Methods that `requestIn` answers beyond those of the phone: they are named in Allow. */
  readonly methods?: readonly string[];
  /** A request came. Dropped, it is as never received; answered, it goes no further. */
  requestIn?(request: SipMessage, from: SipAddress): void | "pass" | "drop" | SipAnswer;
  /** A response came. */
  responseIn?(response: SipMessage, from: SipAddress): void | "pass" | "drop";
  /** A request is about to be sent. Dropped, it fails at once. */
  requestOut?(request: SipMessage, to: SipAddress): void | "pass" | "drop";
  /** A response is about to be sent. */
  responseOut?(response: SipMessage, to: SipAddress): void | "pass" | "drop";
}

/** Where a message comes from or goes to. */
export interface SipAddress {
  address: string;
  port: number;
}

/** What is thrown: `code` is for programs and stays the same. */
export interface PhoneError extends Error {
  code: string;
  /** The status of the response that is to blame, if one is. */
  status?: number;
}

export type TransferOutcome = "accepted" | "succeeded" | "failed";

export type EndedBy = "local" | "remote" | "timeout" | "error";

export interface CallInfo {
  call: number;
  direction: "outgoing" | "incoming";
  state: CallState;
  /** The far end's URI. */
  remote: string;
  remoteName?: string;
  /** Our own URI in this call. */
  local: string;
  /** The Call-ID header field. */
  callId: string;
  /**
   * The Request-URI of an incoming call's INVITE: the number that was dialled when a trunk or a caller
   * sends it to us; from the server where we are registered it is our own Contact, and `local` has what
   * was dialled. Empty for an outgoing call.
   */
  requestUri: string;
  /** All header fields of an incoming call's INVITE, in order. */
  headers: [name: string, value: string][];
  /** The body of an incoming call's INVITE; empty where there is none. */
  body: Uint8Array;
  /** Its parts (RFC 5621): beside the offer a trunk's ISUP, or where the caller is. */
  parts: BodyPart[];
  codec?: string;
  /** How many audio streams are in use. */
  streams: number;
  /** Which way audio may flow, from us. */
  media?: MediaDirection;
  /** Whether the far end has put us on hold. */
  held: boolean;
  /** Whether we have put the far end on hold. */
  holding: boolean;
}

export interface CallStats {
  codec?: string;
  sent: number;
  received: number;
  lost: number;
  duplicates: number;
  late: number;
  discarded: number;
  jitterMs: number;
  rttMs?: number;
  playoutDelayMs: number;
  concealedMs: number;
  /** Frames of one packet time that were skipped because the host came too late. */
  stalledFrames: number;
  /** Conversational quality, 1 to 4.5. */
  mos: number;
}

/** The sound of a WAV file. */
export interface Wav {
  /** How many samples a second. */
  rate: number;
  /** 16-bit samples, all channels mixed into one. */
  samples: Int16Array;
  /** What is missing, where the file ends before its sound does. */
  cutShort?: string;
}

/** An SRV record (RFC 2782): where a service is, as `node:dns` says it. */
export interface SrvRecord {
  priority: number;
  weight: number;
  port: number;
  /** The host; empty where the domain says that it has no such service. */
  name: string;
}

/** A NAPTR record (RFC 3403): which services a domain has, as `node:dns` says it. */
export interface NaptrRecord {
  order: number;
  preference: number;
  flags: string;
  service: string;
  replacement: string;
}

/** What the phone asks of its host. Those with an `id` want an answer. */
export type HostRequest =
  | { type: "openFlow"; id: number; transport: Transport; address: string; port: number; name: string }
  | { type: "closeFlow"; flow: number }
  | { type: "rebind" }
  | { type: "bindMedia"; id: number; toward: string; low: number; high: number }
  | { type: "releaseMedia"; media: number }
  | { type: "resolve"; id: number; kind: "naptr" | "srv" | "addresses"; name: string };
