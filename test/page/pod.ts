import type { SelfFacts } from "../../src/page/facts.ts";

/** What stands in for another container or member, and counts who asks it what. */
export class FakeAdmin implements Disposable {
  /** Paths with their queries, as they were asked. */
  readonly asked: string[] = [];
  readonly #server: Bun.Server<undefined>;

  constructor(
    answers: Readonly<Record<string, () => Response>>,
    { hostname = "127.0.0.1", port = 0 }: { hostname?: string; port?: number } = {},
  ) {
    this.#server = Bun.serve({
      hostname,
      port,
      fetch: (request) => {
        const { pathname, search } = new URL(request.url);
        this.asked.push(pathname + search);
        return answers[pathname + search]?.() ?? new Response("not found\n", { status: 404 });
      },
    });
  }

  get port(): number {
    return this.#server.port!;
  }

  [Symbol.dispose](): void {
    void this.#server.stop(true);
  }
}

export function selfOf(name: string, changed: Partial<SelfFacts> = {}): SelfFacts {
  return {
    version: 1,
    name,
    node: `node-of-${name}`,
    state: "serving",
    uptimeMs: 1000,
    sessions: [],
    ...changed,
  };
}

/** A server that does with each connection what it is told, and counts what it could send. */
export function hostile(open: (socket: Bun.Socket) => void): { port: number } & Disposable {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { open, data() {}, drain: open } });
  return { port: listener.port, [Symbol.dispose]: () => listener.stop(true) };
}
