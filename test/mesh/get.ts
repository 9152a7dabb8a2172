import { httpGet, NoAnswer } from "../../src/admin/http-get.ts";
import { endpointOf } from "../../src/net/endpoint.ts";

/** `bun get.ts HOST PORT PATH [fetch]`: prints what is there, asked by `httpGet`, or by Bun's own fetch. */
const [host = "", port = "", path = "/", by] = process.argv.slice(2);
if (by === "fetch") console.log(await (await fetch(`http://${host}:${port}${path}`)).text());
else {
  const got = await httpGet(endpointOf(host, Number(port))!, path, { timeoutMs: 10_000, bytesMax: 1 << 24 });
  console.log(got instanceof NoAnswer ? got.why : got.body);
}
