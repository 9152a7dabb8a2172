/** The answer to a request. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Text, or pieces that are sent as they are and never copied: many connections may hold the same ones. */
  readonly body: string | readonly Uint8Array[];
}

/** Headers of an answer in plain words, good for now only. */
export const PLAIN = { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" };

/** By name, since node:http, which has a list of them, would cost megabytes. */
const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  204: "No Content",
  400: "Bad Request",
  404: "Not Found",
  405: "Method Not Allowed",
  413: "Content Too Large",
  414: "URI Too Long",
  417: "Expectation Failed",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
  505: "HTTP Version Not Supported",
};

/** An answer of one line of text. */
export function plain(status: number, line: string, headers: HttpAnswer["headers"] = {}): HttpAnswer {
  return { status, headers: { ...PLAIN, ...headers }, body: `${line}\n` };
}

/**
 * An answer as it goes out (RFC 9112, 4), in pieces.
 * @param headOnly leaves the body out, as HEAD asks for; its length is told all the same
 * @param close says that the connection ends with it
 */
export function encodeAnswer(
  { status, headers, body }: HttpAnswer,
  headOnly: boolean,
  close: boolean,
): readonly Uint8Array[] {
  const length =
    typeof body === "string" ? Buffer.byteLength(body) : body.reduce((sum, piece) => sum + piece.length, 0);
  const fields = [
    `HTTP/1.1 ${status} ${REASONS[status] ?? ""}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    `date: ${new Date().toUTCString()}`,
    `connection: ${close ? "close" : "keep-alive"}`, // what HTTP/1.0 has to be told
    ...(status === 204 ? [] : [`content-length: ${length}`]), // no body, no length (RFC 9110, 8.6)
  ];
  const head = `${fields.join("\r\n")}\r\n\r\n`;
  if (headOnly || length === 0) return [Buffer.from(head)];
  return typeof body === "string" ? [Buffer.from(head + body)] : [Buffer.from(head), ...body];
}
