// Click to call: a page or program asks an HTTP server to join an agent and a customer. The agent's telephone
// rings; when it has answered, it is sent to the customer (REFER), and the server is out of the call.
//
//   offhook exchange --listen 127.0.0.1:5060 --user alice:a --user bob:b --user carol:c &
//   node wasm/examples/click-to-call.mjs 127.0.0.1 alice a 8080 &
//   curl -d '{"agent":"bob","customer":"carol"}' http://127.0.0.1:8080/calls
import { createServer } from "node:http";
import { json } from "node:stream/consumers";
import { Phone } from "offhook";

const [server, user, password, port] = process.argv.slice(2);
if (!port) throw new Error("usage: node click-to-call.mjs SERVER USER PASSWORD PORT");

const phone = new Phone({ server, user, password, bind: "0.0.0.0:0" });
await phone.start();

const http = createServer(async (request, response) => {
  const { status, body } = await answer(request);
  response.writeHead(status, { "content-type": "application/json" }).end(`${JSON.stringify(body)}\n`);
});
http.listen(Number(port), "127.0.0.1", () => console.log(`http://127.0.0.1:${http.address().port}/calls`));

async function answer(request) {
  if (request.method !== "POST" || request.url !== "/calls") return { status: 404, body: {} };
  const { agent, customer } = await json(request).catch(() => ({}));
  if (typeof agent !== "string" || typeof customer !== "string") {
    return { status: 400, body: { error: "agent and customer have to be names, numbers or SIP URIs" } };
  }
  try {
    const body = await join(agent, customer);
    return { status: body.transferred ? 200 : 502, body };
  } catch (error) {
    // The agent was busy, away, or nobody's name.
    return { status: 502, body: { error: error.message, code: error.code, status: error.status } };
  }
}

/** Resolves when the agent's telephone says that the customer has answered, or why not. */
async function join(agent, customer) {
  const call = phone.call(agent);
  await call.answered();
  const result = await call.transfer(customer, { mode: "notified" });
  if (call.state === "answered") await call.hangup();
  return result;
}
