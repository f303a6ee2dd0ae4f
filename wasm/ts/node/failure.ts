// Why there is no connection, in words that end a sentence.

/** What kind of failure it is, as the telephone counts them. */
export type FailureKind = "unreachable" | "untrusted" | "unsupported";

/** A connection that could not be opened or accepted. */
export class ConnectFailure extends Error {
  constructor(
    readonly kind: FailureKind,
    problem: string,
    cause?: unknown,
  ) {
    super(problem, { cause });
  }
}

export const unreachable = (problem: string, cause?: unknown): ConnectFailure =>
  new ConnectFailure("unreachable", problem, cause);

export const untrusted = (problem: string, cause?: unknown): ConnectFailure =>
  new ConnectFailure("untrusted", problem, cause);

/** What the system says of a connection. */
export function systemFailure(error: NodeJS.ErrnoException): ConnectFailure {
  return unreachable(systemProblem(error), error);
}

function systemProblem({ code, message }: NodeJS.ErrnoException): string {
  switch (code) {
    case "ECONNREFUSED":
      return "connection refused";
    case "EHOSTUNREACH":
      return "no route to host";
    case "ENETUNREACH":
      return "no route to its network";
    case "ETIMEDOUT":
      return "it did not answer";
    case "ECONNRESET":
    case "ECONNABORTED":
    case "EPIPE":
      return "it closed the connection at once";
    case "EADDRNOTAVAIL":
      return "no address of ours leads there";
    default:
      return message;
  }
}
