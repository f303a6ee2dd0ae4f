// Phones of this package, for tests.
import { Phone } from "../dist/node.js";

/** How long a test may take on a machine that has much to do. */
export const OPTIONS = { timeout: 180_000 };

/** A phone that has started; it is closed after the test. */
export async function started(t, user, more = {}) {
  const phone = new Phone({ user, bind: "127.0.0.1:0", rtpPorts: [41_000, 41_098], ...more });
  t.after(() => phone.close());
  await phone.start();
  return phone;
}

/** The address at which a phone listens for UDP. */
export const local = (phone) => {
  const { address, port } = phone.listening.find(({ transport }) => transport === "UDP");
  return { address, port };
};

/** The URI of a phone at its address. */
export const at = (phone, user = "bob") => `sip:${user}@${local(phone).address}:${local(phone).port}`;

/** The next call that comes in. */
export async function nextCall(phone) {
  for await (const call of phone.incoming()) return call;
}

/** A call that two phones have with each other. */
export async function connected(t, { here = {}, there = {}, options } = {}) {
  const [alice, bob] = [await started(t, "alice", here), await started(t, "bob", there)];
  const arriving = nextCall(bob);
  const call = alice.call(at(bob), options);
  const answering = await arriving;
  await Promise.all([answering.answer(), call.answered()]);
  return { alice, bob, call, answering };
}
