import { describe, expect, test } from "bun:test";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { HttpAnswerReader } from "../../src/admin/http-answer-reader.ts";
import { type HttpGot, httpGet, NoAnswer } from "../../src/admin/http-get.ts";
import { endpointOf } from "../../src/net/endpoint.ts";
import { until } from "../harness.ts";
import { answers, dripping, endless, type Hostile, hostile, says, silent } from "./hostile.ts";

/** A GET of our own: whatever the other end does costs so many bytes and so much time. */

const LIMITS = { timeoutMs: 300, bytesMax: 100_000 };

const get = (server: Hostile, limits = LIMITS): Promise<HttpGot | NoAnswer> =>
  httpGet(endpointOf("127.0.0.1", server.port)!, "/mesh.json", limits);

async function whyNot(server: Hostile): Promise<string> {
  const got = await get(server);
  await until("the connection is closed", () => server.counts.open === 0);
  if (!(got instanceof NoAnswer)) throw new Error(`answered ${got.status}`);
  return `${got.fault}: ${got.why}`;
}

describe("an answer", () => {
  const whole: [string, string, HttpGot][] = [
    [
      "of a stated length",
      "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwellmore",
      { status: 200, body: "well" },
    ],
    ["until the end", "HTTP/1.0 404 No\r\n\r\nnothing", { status: 404, body: "nothing" }],
    [
      "in chunks, as a proxy beside a Pod makes of it",
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nwel\r\n1;x=y\r\nl\r\n0\r\n\r\n",
      { status: 200, body: "well" },
    ],
    ["without a body", "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n", { status: 204, body: "" }],
  ];

  test.each(whole)("%s is read", async (_what, text, got) => {
    using server = hostile(answers(text));
    expect(await get(server)).toEqual(got);
    await until("the connection is closed", () => server.counts.open === 0);
  });

  test("that came in time is one, however late this process is to read it", async () => {
    const code = `const { port } = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data(socket) {
      console.log("asked");
      setTimeout(() => socket.end("HTTP/1.1 200 OK\\r\\ncontent-length: 4\\r\\n\\r\\nwell"), 50); } } });
      console.log(port);`;
    const child = Bun.spawn([process.execPath, "-e", code], { stdout: "pipe", stdin: "ignore" });
    try {
      const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
      const { value: port } = await reader.read();
      const asking = httpGet(endpointOf("127.0.0.1", Number(port))!, "/", LIMITS);
      expect((await reader.read()).value).toBe("asked\n");
      Bun.sleepSync(2 * LIMITS.timeoutMs);
      expect(await asking).toEqual({ status: 200, body: "well" });
    } finally {
      child.kill("SIGKILL");
    }
  });

  test("is the same in whatever pieces it comes", () => {
    const cuts = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 });
    fc.assert(
      fc.property(fc.constantFrom(...whole), cuts, ([, text, wanted], sizes) => {
        const reader = new HttpAnswerReader(100_000);
        let got: HttpGot | NoAnswer | null = null;
        for (let at = 0, turn = 0; at < text.length && got === null; turn++) {
          const size = sizes[turn % sizes.length]!;
          got = reader.push(Buffer.from(text.slice(at, at + size)));
          at += size;
        }
        expect(got ?? reader.end()).toEqual(wanted);
      }),
    );
  });
});

describe("is no answer, and costs what it may:", () => {
  const head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n";

  test.each<[string, Parameters<typeof hostile>[0], RegExp]>([
    ["nothing", silent, /^no_answer: no answer within 300 ms$/],
    ["a body without end", endless(head, "x".repeat(10_000)), /^too_large: .* more than 100000 bytes$/],
    ["a head without end", endless("HTTP/1.1 200 OK\r\n", `x: ${"y".repeat(1000)}\r\n`), /^too_large: /],
    ["a body that drips", dripping(head), /^no_answer: no answer within/],
    ["a head that drips", dripping("HTTP/1.1 200 "), /^no_answer: no answer within/],
    ["a length that is none", answers("HTTP/1.1 200 OK\r\ncontent-length: -4\r\n\r\nwell"), /^malformed: /],
    [
      "less than it stated",
      answers("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nwell"),
      /^malformed: .*not whole/,
    ],
    [
      "chunks without the last",
      answers("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n"),
      /^malformed: /,
    ],
    ["another protocol", answers("SSH-2.0-OpenSSH_9.2\r\n\r\n"), /^malformed: .*no HTTP$/],
    ["an end at once", answers(""), /^(malformed: .*not whole|no_answer)/],
  ])("%s", async (_what, behaviour, why) => {
    using server = hostile(behaviour);
    expect(await whyNot(server)).toMatch(why);
  });

  test("a closed port", async () => {
    const { port, ...server } = hostile(silent);
    server[Symbol.dispose]();
    expect(await get({ port, ...server })).toMatchObject({
      fault: "no_answer",
      why: "no connection: refused",
    });
  });

  test("a redirect, which is not followed", async () => {
    using elsewhere = hostile(says("never"));
    using server = hostile(
      answers(
        `HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:${elsewhere.port}/\r\ncontent-length: 0\r\n\r\n`,
      ),
    );
    expect(await get(server)).toEqual({ status: 302, body: "" });
    expect(elsewhere.counts.opened).toBe(0);
  });
});

test("HTTP_PROXY, under any of its names, is not asked", async () => {
  using proxy = hostile(says("the proxy's"));
  using server = hostile(says("the server's"));
  const names = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"];
  const env = Object.fromEntries(names.map((name) => [name, `http://127.0.0.1:${proxy.port}`]));
  const script = fileURLToPath(new URL("./get.ts", import.meta.url));
  const ask = async (...by: string[]): Promise<string> => {
    const command = [process.execPath, script, "127.0.0.1", String(server.port), "/", ...by];
    return Bun.spawn(command, { env: { ...process.env, ...env }, stdout: "pipe" }).stdout.text();
  };
  const [own, byFetch] = [await ask(), await ask("fetch")];
  expect(own).toBe("the server's\n");
  expect(byFetch).toBe("the proxy's\n"); // so the variable is one that counts
});
