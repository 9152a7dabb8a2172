import type { Verdict } from "./health.ts";
import { type HttpAnswer, PLAIN, plain } from "./http-answer.ts";
import type { Answerer } from "./http-connection.ts";
import type { HttpRequest } from "./http-reader.ts";

/** What one path says. */
export type Route = (request: HttpRequest) => HttpAnswer | Promise<HttpAnswer>;

const READING = "GET, HEAD";

/** Answers by path: 404 for any other, 405 for any method that does not read. */
export function answererOf(routes: Readonly<Record<string, Route>>): Answerer {
  return (request) => {
    const { method, path } = request;
    // Of the server itself, and not of one of its answers: a balancer's plainest check is OPTIONS / HTTP/1.0.
    if (method === "OPTIONS" && (path === "/" || path === "*")) return options();
    const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
    if (route === undefined) return plain(404, "not found");
    if (method !== "GET" && method !== "HEAD") return plain(405, "only GET and HEAD", { allow: READING });
    return route(request);
  };
}

/** 200 for yes, 503 for no, with its line. */
export function healthAnswer({ ok, text }: Verdict): HttpAnswer {
  return plain(ok ? 200 : 503, text);
}

export function metricsAnswer(body: string, contentType: string): HttpAnswer {
  return { status: 200, headers: { ...PLAIN, "content-type": contentType }, body };
}

function options(): HttpAnswer {
  return { status: 204, headers: { allow: `${READING}, OPTIONS` }, body: "" };
}
