// Subscribes with graphql-ws and, once that is under way, asks over the same socket; prints each result as a line of JSON.
//   node subscribe.js URL SUBSCRIPTION COUNT [DOCUMENT ...]
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const [url, subscription, count, ...documents] = process.argv.slice(2);
const client = createClient({ url, webSocketImpl: WebSocket, lazy: false, retryAttempts: 0 });
const say = (result) => console.log(JSON.stringify(result));

const heard = client.iterate({ query: subscription });
const first = heard.next();
await new Promise((resolve) => {
  client.on("pong", resolve);
  client.on("connected", (socket) => socket.send(JSON.stringify({ type: "ping" })));
});
for (const query of documents) {
  for await (const result of client.iterate({ query })) say(result);
}
say("ready");
for (let number = 0; number < Number(count); number++) {
  say((await (number === 0 ? first : heard.next())).value);
}
await heard.return();
await client.dispose();
