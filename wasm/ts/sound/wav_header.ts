// The head of a WAV file of 16-bit samples.

/** How many bytes it has. */
export const HEADER = 44;

/** What a length says that is too large for its 32 bits: the sound goes on to the file's end. */
const UNTIL_THE_END = 0xffff_ffff;

/** The head of a file with so many bytes of sound after it. */
export function wavHeader(rate: number, channels: number, bytes: number): Uint8Array {
  const header = new Uint8Array(HEADER);
  const view = new DataView(header.buffer);
  const text = (at: number, word: string) => [...word].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  const length = (at: number, value: number) => view.setUint32(at, Math.min(value, UNTIL_THE_END), true);
  const frame = 2 * channels;
  text(0, "RIFF");
  length(4, HEADER - 8 + bytes);
  text(8, "WAVEfmt ");
  length(16, 16);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, channels, true);
  length(24, rate);
  length(28, rate * frame);
  view.setUint16(32, frame, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  length(40, bytes);
  return header;
}
