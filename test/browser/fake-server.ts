import { PAGE_SCRIPT, PAGE_STYLE } from "../../src/admin/assets.ts";
import { POLICY } from "../../src/admin/page-routes.ts";
import type { MeshResult } from "../../src/diagnose/mesh/result.ts";
import type { PageFacts } from "../../src/page/facts.ts";
import { matrixHtml } from "../../src/page/matrix.ts";
import { renderPage } from "../page/render.ts";

/** Serves the page as admin does, of facts that a test makes up and changes. */
export class FakeServer implements AsyncDisposable {
  mesh: (() => MeshResult) | null = null;
  /** Paths that were asked for, in order. */
  readonly asked: string[] = [];
  #server: Bun.Server<undefined> | null = null;
  #port = 0;

  constructor(public facts: () => PageFacts) {
    this.start();
  }

  /** By address; a name that is no secure context comes here too. */
  url(host = "127.0.0.1"): string {
    return `http://${host}:${this.#port}/`;
  }

  /** On the port that it had before. */
  start(): void {
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port: this.#port,
      fetch: (request) => this.#answer(request),
    });
    this.#port = this.#server.port!;
  }

  async stop(): Promise<void> {
    await this.#server?.stop(true);
    this.#server = null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #answer(request: Request): Response {
    const { pathname, host } = new URL(request.url);
    this.asked.push(pathname);
    if (pathname === "/") return this.#page(host);
    if (pathname === "/page.js") return asset(PAGE_SCRIPT.body, PAGE_SCRIPT.contentType);
    if (pathname === "/page.css") return asset(PAGE_STYLE.body, PAGE_STYLE.contentType);
    if (pathname === "/page.json") return Response.json(this.facts());
    if (pathname === "/mesh.json" && this.mesh !== null) return Response.json(this.mesh());
    return new Response("not found\n", { status: 404 });
  }

  #page(host: string): Response {
    const matrix = this.mesh === null ? "" : matrixHtml(this.mesh());
    const headers = { "content-type": "text/html; charset=utf-8", "content-security-policy": POLICY };
    return new Response(renderPage(this.facts(), host, matrix), { headers });
  }
}

function asset(body: string, contentType: string): Response {
  return new Response(body, { headers: { "content-type": contentType } });
}
