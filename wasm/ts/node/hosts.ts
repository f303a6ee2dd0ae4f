// The hosts file of this machine.
import { readFile } from "node:fs/promises";
import { isIP, isIPv6 } from "node:net";
import { join } from "node:path";

const path = (): string =>
  process.platform === "win32"
    ? join(process.env["SystemRoot"] ?? "C:\\Windows", "System32\\drivers\\etc\\hosts")
    : "/etc/hosts";

/** The addresses that it has for a name, those of IPv6 first; none where there is no such file. */
export async function hostsNamed(name: string): Promise<string[]> {
  const text = await readFile(path(), "utf8").catch(() => "");
  const found = addressesOf(name, text);
  return [...found.filter(isIPv6), ...found.filter((address) => !isIPv6(address))];
}

/** The addresses for a name in the text of a hosts file, in their order. */
export function addressesOf(name: string, text: string): string[] {
  const wanted = name.toLowerCase();
  const found = new Set<string>();
  for (const line of text.split("\n")) {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    if (isIP(address) && names.some((known) => known.toLowerCase() === wanted)) found.add(address);
  }
  return [...found];
}
