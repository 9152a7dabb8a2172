import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DevTools } from "./devtools.ts";
import { Tab } from "./tab.ts";

const FLAGS = [
  "--headless=new",
  "--remote-debugging-port=0",
  "--no-first-run",
  "--no-default-browser-check",
  "--disable-gpu",
  "--disable-dev-shm-usage", // a container's is small
  "--disable-extensions",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--force-color-profile=srgb",
  // Nothing but what is here; and a name that is no secure context.
  "--host-resolver-rules=MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

/** Time that it may take to start, and to end. */
const PATIENCE_MS = 20_000;

/** A real Chromium without a screen, with a profile of its own; `await using` ends it. */
export class Chromium implements AsyncDisposable {
  private constructor(
    readonly child: Bun.Subprocess<"ignore", "ignore", "pipe">,
    readonly devTools: DevTools,
    readonly profile: string,
  ) {}

  static async start(): Promise<Chromium> {
    const profile = await mkdtemp(join(tmpdir(), "echo-chromium-"));
    const asRoot = process.getuid?.() === 0 ? ["--no-sandbox"] : []; // its sandbox is not to be had by root
    const command = [program(), ...FLAGS, ...asRoot, `--user-data-dir=${profile}`, "about:blank"];
    const child = Bun.spawn(command, { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
    try {
      const devTools = await DevTools.connect(await addressIn(child.stderr));
      return new Chromium(child, devTools, profile);
    } catch (error) {
      child.kill("SIGKILL");
      await child.exited;
      await rm(profile, { recursive: true, force: true });
      throw error;
    }
  }

  /** A new tab, with cookies and cache of its own. */
  async open(): Promise<Tab> {
    const { browserContextId } = await this.devTools.send("", "Target.createBrowserContext");
    const { targetId } = await this.devTools.send("", "Target.createTarget", {
      url: "about:blank",
      browserContextId,
    });
    const attach = { targetId, flatten: true };
    const { sessionId } = await this.devTools.send("", "Target.attachToTarget", attach);
    return Tab.open(this.devTools, sessionId as string, targetId as string);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const late = setTimeout(() => this.child.kill("SIGKILL"), PATIENCE_MS);
    await this.devTools.send("", "Browser.close").catch(() => this.child.kill("SIGKILL"));
    await this.child.exited;
    clearTimeout(late);
    await rm(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

function program(): string {
  const found = Bun.which("chromium") ?? Bun.which("google-chrome");
  if (found === null) throw new Error("neither chromium nor google-chrome is here: scripts/test-deps.sh");
  return found;
}

/** Where it says its DevTools are; what it says after that is read and forgotten. */
async function addressIn(stderr: ReadableStream<Uint8Array>): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const late = setTimeout(
    () => reject(new Error(`Chromium is not there in ${PATIENCE_MS} ms:\n${said}`)),
    PATIENCE_MS,
  );
  let said = "";
  const read = async (): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const chunk of stderr) {
      said = (said + decoder.decode(chunk, { stream: true })).slice(-20_000);
      const [, url] = /DevTools listening on (ws:\S+)\s/.exec(said) ?? [];
      if (url !== undefined) resolve(url);
    }
    reject(new Error(`Chromium has ended:\n${said}`));
  };
  void read();
  try {
    return await promise;
  } finally {
    clearTimeout(late);
  }
}
