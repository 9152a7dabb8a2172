import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  BODY_BYTES_MAX,
  HEAD_BYTES_MAX,
  type HttpFault,
  type HttpRequest,
  REQUEST_LINE_BYTES_MAX,
  RequestReader,
} from "../src/admin/http-reader.ts";

type Found = HttpRequest | HttpFault;

/** All that a reader finds in bytes that come in these pieces. */
function readAll(pieces: readonly Uint8Array[]): Found[] {
  const reader = new RequestReader();
  const all: Found[] = [];
  for (const piece of pieces) {
    reader.push(piece);
    for (let found = reader.next(); found !== null; found = reader.next()) all.push(found);
    reader.trim();
    expect(reader.unread).toBeLessThan(HEAD_BYTES_MAX); // what is kept is bounded, whatever came
  }
  return all;
}

/** What is found in a text: paths of requests (`!` where the connection ends with it), or the status of a fault. */
function read(text: string): (string | number)[] {
  return readAll([Buffer.from(text, "latin1")]).map(brief);
}

function brief(found: Found): string | number {
  return "status" in found ? found.status : `${found.method} ${found.path}${found.close ? "!" : ""}`;
}

const HOST = "Host: a\r\n";

describe("requests", () => {
  const good: [string, (string | number)[]][] = [
    [`GET /livez HTTP/1.1\r\n${HOST}\r\n`, ["GET /livez"]],
    ["GET /livez HTTP/1.0\r\n\r\n", ["GET /livez!"]],
    ["OPTIONS / HTTP/1.0\r\n\r\n", ["OPTIONS /!"]],
    ["OPTIONS * HTTP/1.0\r\n\r\n", ["OPTIONS *!"]],
    ["GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", ["GET /livez"]],
    [`GET /livez HTTP/1.1\r\n${HOST}CONNECTION:\t Keep-Alive , Close \r\n\r\n`, ["GET /livez!"]],
    [`GET /livez HTTP/1.7\r\n${HOST}\r\n`, ["GET /livez"]],
    [`GET /a?b#c HTTP/1.1\r\n${HOST}\r\n`, ["GET /a"]],
    [`GET http://x:1/a?b HTTP/1.1\r\n${HOST}\r\n`, ["GET /a"]],
    [`GET HTTP://x HTTP/1.1\r\n${HOST}\r\n`, ["GET /"]],
    [`GET /../livez HTTP/1.1\r\n${HOST}\r\n`, ["GET /../livez"]],
    [`GET / HTTP/1.1\r\nhOST:\r\n\r\n`, ["GET /"]],
    [`GET / HTTP/1.1\r\nHost: a b, [::1%eth0]:99999 \xff\r\n\r\n`, ["GET /"]],
    [`\r\n\r\nGET / HTTP/1.1\r\n${HOST}\r\n`, ["GET /"]],
    [`GET /1 HTTP/1.1\r\n${HOST}\r\nHEAD /2 HTTP/1.1\r\n${HOST}\r\nGET /3`, ["GET /1", "HEAD /2"]],
    [
      `POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nGET /GET /2 HTTP/1.0\r\n\r\n`,
      ["POST /", "GET /2!"],
    ],
    [`POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhell`, []],
    ["GET /1 HTTP/1.0\r\n\r\nGET /2 HTTP/1.0\r\n\r\n", ["GET /1!"]],
  ];
  for (const [text, found] of good) test(JSON.stringify(text), () => expect(read(text)).toEqual(found));

  test("the query, without fragment, and the host: of the target before that of the field, as they were written", () => {
    const asked: [string, string, string | null][] = [
      ["GET /a HTTP/1.0\r\n\r\n", "", null],
      ["GET /a HTTP/1.0\r\nHost:\r\n\r\n", "", ""],
      ["GET /a? HTTP/1.0\r\nHost: \t[::1]:80 \r\n\r\n", "", "[::1]:80"],
      ["GET /a?b=1&c?d#e?f HTTP/1.0\r\nHost: <b>\"'\r\n\r\n", "b=1&c?d", "<b>\"'"],
      ["GET /a#b?c HTTP/1.0\r\nHost: x\r\n\r\n", "", "x"],
      ["GET http://y:1?b HTTP/1.0\r\nHost: x\r\n\r\n", "b", "y:1"],
      ["GET http:///a?%3cb HTTP/1.0\r\nHost: x\r\n\r\n", "%3cb", ""],
      ["OPTIONS * HTTP/1.0\r\nHost: x\r\n\r\n", "", "x"],
    ];
    for (const [text, query, host] of asked) {
      const [found] = readAll([Buffer.from(text, "latin1")]);
      expect([text, found]).toEqual([text, expect.objectContaining({ query, host })]);
    }
  });

  test("who waits to be asked for a body is answered at once, and nothing after it is read", () => {
    const asking = `PUT / HTTP/1.1\r\n${HOST}Expect: 100-Continue\r\nContent-Length: 5\r\n\r\n`;
    expect(read(`${asking}GET /smuggled HTTP/1.1\r\n${HOST}\r\n`)).toEqual(["PUT /!"]);
  });
});

describe("what is no request, or one that two readers could take differently", () => {
  const wrong: [string, number][] = [
    ["hello\r\n", 400],
    ["GET /\r\n", 400],
    ["GET  / HTTP/1.1\r\n", 400],
    ["GET / HTTP/1.1 \r\n", 400],
    [" GET / HTTP/1.1\r\n", 400],
    ["GET /\x00 HTTP/1.1\r\n", 400],
    ["GET /\xe9 HTTP/1.1\r\n", 400],
    ["GET / http/1.1\r\n", 400],
    ["G(T / HTTP/1.1\r\n", 400],
    ["GET / HTTP/1.10\r\n", 400],
    ["GET / HTTP/2.0\r\n", 505],
    ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505],
    ["\x16\x03\x01\x02\x00\x01\x00\x01\xfc\n", 400],
    ["GET / HTTP/1.1\n", 400],
    [`GET / HTTP/1.1\r\n${HOST}\n`, 400],
    ["GET / HTTP/1.1\r\n\r\n", 400],
    [`GET / HTTP/1.1\r\n${HOST}${HOST}\r\n`, 400],
    [`GET a HTTP/1.1\r\n${HOST}\r\n`, 400],
    [`CONNECT a:1 HTTP/1.1\r\n${HOST}\r\n`, 400],
    ["GET / HTTP/1.1\r\nHost : a\r\n", 400],
    ["GET / HTTP/1.1\r\n Host: a\r\n", 400],
    [`GET / HTTP/1.1\r\n${HOST} more\r\n`, 400],
    ["GET / HTTP/1.1\r\n: a\r\n", 400],
    ["GET / HTTP/1.1\r\nHost\r\n", 400],
    ["GET / HTTP/1.1\r\nHost: a\rb\r\n", 400],
    ["GET / HTTP/1.1\r\nHost: a\x00\r\n", 400],
    [`POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\nContent-Length: 5\r\n\r\n`, 400],
    [`POST / HTTP/1.1\r\n${HOST}Content-Length: 5, 5\r\n\r\n`, 400],
    [`POST / HTTP/1.1\r\n${HOST}Content-Length: +5\r\n\r\n`, 400],
    [`POST / HTTP/1.1\r\n${HOST}Content-Length: 0x5\r\n\r\n`, 400],
    [`POST / HTTP/1.1\r\n${HOST}Content-Length: \xa05\r\n\r\n`, 400],
    [`POST / HTTP/1.1\r\n${HOST}Content-Length:\r\n\r\n`, 400],
    [`POST / HTTP/1.1\r\n${HOST}Content-Length: -1\r\n\r\n`, 400],
    [`POST / HTTP/1.1\r\n${HOST}Content-Length: ${BODY_BYTES_MAX + 1}\r\n\r\n`, 413],
    [`POST / HTTP/1.1\r\n${HOST}Content-Length: ${"9".repeat(400)}\r\n\r\n`, 413],
    [`POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 501],
    [`POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: identity\r\n\r\n`, 501],
    [`POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n`, 400],
    [`POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\ntransfer-encoding:\tchunked\r\n\r\n`, 400],
    ["POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400],
    [`GET / HTTP/1.1\r\n${HOST}Expect: a miracle\r\n\r\n`, 417],
  ];
  for (const [text, status] of wrong) {
    test(`${status} ${JSON.stringify(text.slice(0, 100))}`, () => {
      expect(read(text)).toEqual([status]);
      expect(read(`${text}GET / HTTP/1.0\r\n\r\n`)).toEqual([status]); // nothing after it is read
    });
  }
});

describe("limits, to the byte", () => {
  const line = (bytes: number): string => `GET /${"a".repeat(bytes - 16)} HTTP/1.0\r\n`;
  const field = (bytes: number): string => `X: ${"a".repeat(bytes - 5)}\r\n`;

  test("the request line", () => {
    expect(line(REQUEST_LINE_BYTES_MAX)).toHaveLength(REQUEST_LINE_BYTES_MAX);
    expect(read(`${line(REQUEST_LINE_BYTES_MAX)}\r\n`)).toHaveLength(1);
    expect(read(`${line(REQUEST_LINE_BYTES_MAX)}\r\n`)[0]).toBeString();
    expect(read(`${line(REQUEST_LINE_BYTES_MAX + 1)}\r\n`)).toEqual([414]);
    expect(read("x".repeat(REQUEST_LINE_BYTES_MAX - 1))).toEqual([]);
    expect(read("x".repeat(REQUEST_LINE_BYTES_MAX))).toEqual([414]);
  });

  test("the head", () => {
    const rest = HEAD_BYTES_MAX - 16 - 2;
    expect(read(`${line(16)}${field(rest)}\r\n`)).toEqual(["GET /!"]);
    expect(read(`${line(16)}${field(rest + 1)}\r\n`)).toEqual([431]);
    expect(read(`${line(16)}${"x".repeat(HEAD_BYTES_MAX)}`)).toEqual([431]);
    expect(read("\r\n".repeat(HEAD_BYTES_MAX))).toEqual([431]);
  });

  test("the body", () => {
    const head = `POST /1 HTTP/1.1\r\n${HOST}Content-Length: ${BODY_BYTES_MAX}\r\n\r\n`;
    const next = `GET /2 HTTP/1.1\r\n${HOST}\r\n`;
    expect(read(`${head}${"x".repeat(BODY_BYTES_MAX)}${next}`)).toEqual(["POST /1", "GET /2"]);
  });

  test("a long field of blanks is read in no time", () => {
    const start = performance.now();
    for (let times = 0; times < 200; times++) {
      read(`${line(16)}X: a${" ".repeat(8000)}b\r\n\r\n`);
      read(`${line(16)}Connection: ${", ".repeat(4000)}\r\n\r\n`);
    }
    expect(performance.now() - start).toBeLessThan(5000); // a quadratic reader takes far longer
  });
});

/** Parts of requests, good and bad, in any order: what a fuzzer of bytes alone would hardly hit upon. */
const part = fc.oneof(
  fc
    .constantFrom(
      "GET / HTTP/1.1\r\n",
      "HEAD /livez HTTP/1.0\r\n",
      "POST /metrics?x HTTP/1.1\r\n",
      "Host: a\r\n",
      "Content-Length: 3\r\n",
      "Content-Length: 9999\r\n",
      "Transfer-Encoding: chunked\r\n",
      "Connection: close\r\n",
      "Expect: 100-continue\r\n",
      `X-Long: ${"y".repeat(3000)}\r\n`,
      "\r\n",
      "abc",
      "\r",
      "\n",
      " ",
      "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET /readyz HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    )
    .map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 20 }),
);
const stream = fc.array(part, { maxLength: 30 }).map((parts) => Buffer.concat(parts));
const anyBytes = fc.uint8Array({ maxLength: 300 });

/** The bytes cut into pieces at places that do not matter. */
function cut(bytes: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (const length of lengths) {
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return [...pieces, bytes.subarray(at)];
}

describe("any bytes", () => {
  test("in any pieces: the same is found, nothing is thrown, nothing follows a fault or a last request", () => {
    fc.assert(
      fc.property(
        fc.oneof(stream, anyBytes),
        fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 60 }),
        (bytes, lengths) => {
          const whole = readAll([bytes]);
          expect(readAll(cut(bytes, lengths))).toEqual(whole);
          expect(readAll([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual(whole);
          for (const [at, found] of whole.entries()) {
            if ("status" in found || found.close) expect(at).toBe(whole.length - 1);
          }
        },
      ),
      { numRuns: 400 },
    );
  });

  test("well-formed requests are each found once, in order, whatever their bodies look like", () => {
    const request = fc.record({
      method: fc.constantFrom("GET", "HEAD", "POST", "DELETE"),
      path: fc.constantFrom("/", "/livez", "/readyz", "/metrics", "/x"),
      body: fc.option(fc.oneof(stream, anyBytes).filter(({ length }) => length <= BODY_BYTES_MAX)),
      field: fc.constantFrom("", "X: y\r\n", "Accept: */*\r\nUser-Agent: kube-probe/1.34\r\n"),
    });
    fc.assert(
      fc.property(
        fc.array(request, { maxLength: 12 }),
        fc.array(fc.integer({ min: 0, max: 200 }), { maxLength: 40 }),
        (requests, lengths) => {
          const sent = requests.flatMap(({ method, path, body, field }) => [
            Buffer.from(`${method} ${path} HTTP/1.1\r\n${HOST}${field}`),
            Buffer.from(body === null ? "\r\n" : `Content-Length: ${body.length}\r\n\r\n`),
            body ?? Buffer.alloc(0),
          ]);
          const found = readAll(cut(Buffer.concat(sent), lengths));
          expect(found.map(brief)).toEqual(requests.map(({ method, path }) => `${method} ${path}`));
        },
      ),
      { numRuns: 300 },
    );
  });
});
