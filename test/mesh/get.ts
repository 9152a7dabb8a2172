import { httpGet, NoAnswer } from "../../src/admin/http-get.ts";
import { endpointOf } from "../../src/net/endpoint.ts";

/** `bun get.ts HOST PORT`: prints what is there, asked by `httpGet`, then by Bun's own fetch. */
const [host = "", port = ""] = process.argv.slice(2);
const got = await httpGet(endpointOf(host, Number(port))!, "/", { timeoutMs: 5000, bytesMax: 10_000 });
console.log(got instanceof NoAnswer ? got.why : got.body);
console.log(await (await fetch(`http://${host}:${port}/`)).text());
