// docs/from-jssip.md tells the truth: each name of JsSIP is there, and each of ours exists.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Call, Phone } from "../dist/node.js";

const read = (path) => readFileSync(new URL(path, import.meta.url), "utf8");

const page = read("../../docs/from-jssip.md");
const types = ["offhook_wasm", "events", "requests", "phone"].map((name) => read(`../dist/${name}.d.ts`)).join("\n");

/** The rows of the page's tables: the words in code of their first and second cells. */
const rows = page
  .split("\n")
  .filter((line) => line.startsWith("| ") && !line.startsWith("| JsSIP |"))
  .map((line) => line.split(" | ").map((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, word]) => word)));

/** What is declared in JsSIP's types: the members of an interface or class, or the words of a map of events. */
function members(file, name) {
  const text = read(`../node_modules/jssip/lib/${file}.d.ts`);
  const block = new RegExp(`(?:interface|class) ${name}\\b[^{]*\\{\\n(.*?)^\\}`, "ms").exec(text);
  assert.ok(block, `${file}.d.ts has no ${name}`);
  const lines = block[1].matchAll(/^\t(?:static )?(?:get |set )?'?([a-z][\w:]*)'?[?:(<]/gm);
  return [...lines].map(([, member]) => member).filter((member) => member !== "constructor");
}

test("every name of JsSIP is on the page", () => {
  const theirs = new Set(rows.flatMap(([first]) => first));
  for (const [file, ...names] of [
    ["UA", "UA", "UAConfiguration", "UAEventMap", "CallOptions", "UnRegisterOptions"],
    ["RTCSession", "RTCSession", "RTCSessionEventMap", "AnswerOptions", "RejectOptions", "TerminateOptions"],
    ["RTCSession", "ReferOptions", "DTMFOptions", "HoldOptions", "ExtraHeaders"],
    ["Message", "Message", "MessageEventMap", "SendMessageOptions"],
    ["Registrator", "Registrator"],
    ["Subscriber", "Subscriber", "MessageEventMap"],
    ["Notifier", "Notifier", "MessageEventMap"],
  ]) {
    for (const name of names) {
      const found = members(file, name);
      assert.ok(found.length > 0, `nothing was read of ${name}`);
      for (const member of found) assert.ok(theirs.has(member), `${member} of ${name} is missing`);
    }
  }
  const exported = read("../node_modules/jssip/lib/JsSIP.d.ts").matchAll(/export (?:const |\{ )([^:}]+?)(?:: | \})/g);
  const classes = [...exported].flatMap(([, names]) => names.split(", "));
  assert.ok(classes.includes("UA"));
  for (const name of classes) assert.ok(theirs.has(name), `${name} is missing`);
});

test("every name of ours on the page exists", () => {
  const prototypes = { phone: Phone.prototype, call: Call.prototype };
  const exported = ["Phone", "Call", "Host", "OffhookError"];
  const wrong = rows
    .flatMap(([, second = []]) => second)
    .filter((name) => {
      const [, object, member] = /^(phone|call)\.(\w+)$/.exec(name) ?? [];
      if (object) return !(member in prototypes[object]) && `${object}.${member}` !== "phone.capture";
      return !exported.includes(name) && !new RegExp(`\\b${name}\\??:|type: ([^;]*\\| )?"${name}"`).test(types);
    });
  assert.deepEqual(wrong, []);
});
