import type { DevTools, Fields } from "./devtools.ts";

/** Keys that tests press: code, number, and the character that some of them give. */
const KEYS: Readonly<Record<string, readonly [string, number, string?]>> = {
  Tab: ["Tab", 9],
  Enter: ["Enter", 13, "\r"],
  " ": ["Space", 32, " "],
  Escape: ["Escape", 27],
  ArrowLeft: ["ArrowLeft", 37],
  ArrowUp: ["ArrowUp", 38],
  ArrowRight: ["ArrowRight", 39],
  ArrowDown: ["ArrowDown", 40],
};

/** A tab, and all that went wrong in it. */
export class Tab implements AsyncDisposable {
  /** Errors and warnings of the console, exceptions that nobody caught, violations of the policy. */
  readonly complaints: string[] = [];
  /** Addresses of everything that it asked for. */
  readonly requests: string[] = [];
  #loaded = Promise.withResolvers<void>();

  private constructor(
    readonly devTools: DevTools,
    readonly sessionId: string,
    readonly targetId: string,
  ) {
    devTools.listen(sessionId, (method, params) => this.#note(method, params));
  }

  static async open(devTools: DevTools, sessionId: string, targetId: string): Promise<Tab> {
    const tab = new Tab(devTools, sessionId, targetId);
    for (const domain of ["Page", "Runtime", "Log", "Network"]) await tab.send(`${domain}.enable`);
    return tab;
  }

  send(method: string, params: Fields = {}): Promise<Fields> {
    return this.devTools.send(this.sessionId, method, params);
  }

  /** Until all that belongs to the page is there. */
  async goto(url: string): Promise<void> {
    this.#loaded = Promise.withResolvers();
    const { errorText } = await this.send("Page.navigate", { url });
    if (errorText !== undefined) throw new Error(`${url}: ${errorText}`);
    await this.#loaded.promise;
  }

  /** What an expression gives in the page, as JSON can tell it. */
  async ask<Value>(expression: string): Promise<Value> {
    const options = { expression, awaitPromise: true, returnByValue: true, userGesture: true };
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", options);
    if (exceptionDetails !== undefined) throw new Error(`${expression}: ${describe(exceptionDetails)}`);
    return (result as { value: Value }).value;
  }

  /** The text that is seen of the first such element; null where there is none. */
  text(selector: string): Promise<string | null> {
    return this.ask(`document.querySelector(${JSON.stringify(selector)})?.innerText ?? null`);
  }

  async press(key: string, modifiers = 0): Promise<void> {
    const [code, windowsVirtualKeyCode, text] = KEYS[key]!;
    const event = { key, code, windowsVirtualKeyCode, modifiers };
    const typed = text === undefined ? {} : { text };
    await this.send("Input.dispatchKeyEvent", {
      ...event,
      ...typed,
      type: text === undefined ? "rawKeyDown" : "keyDown",
    });
    await this.send("Input.dispatchKeyEvent", { ...event, type: "keyUp" });
  }

  /** What the browser does where its own keys for it are pressed: `paste`. */
  async edit(command: string): Promise<void> {
    const key = { key: "v", code: "KeyV", windowsVirtualKeyCode: 86, modifiers: 2 };
    await this.send("Input.dispatchKeyEvent", { ...key, type: "rawKeyDown", commands: [command] });
    await this.send("Input.dispatchKeyEvent", { ...key, type: "keyUp" });
  }

  /** By the mouse, in the middle of what is seen of the element. */
  async click(selector: string): Promise<void> {
    const [x, y] = await this.ask<[number, number]>(`(() => {
      const element = document.querySelector(${JSON.stringify(selector)});
      element.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
      const { left, top, width, height } = element.getBoundingClientRect();
      return [left + width / 2, top + height / 2];
    })()`);
    for (const type of ["mousePressed", "mouseReleased"])
      await this.send("Input.dispatchMouseEvent", { type, x, y, button: "left", clickCount: 1 });
  }

  async size(width: number, height: number, scale = 1): Promise<void> {
    const metrics = { width, height, deviceScaleFactor: scale, mobile: width < 500 };
    await this.send("Emulation.setDeviceMetricsOverride", metrics);
  }

  async scheme(value: "light" | "dark"): Promise<void> {
    await this.send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value }] });
  }

  /** @param permissions that a person would be asked for */
  async allow(permissions: readonly string[]): Promise<void> {
    const { targetInfo } = await this.devTools.send("", "Target.getTargetInfo", { targetId: this.targetId });
    const { browserContextId } = targetInfo as Fields;
    await this.devTools.send("", "Browser.grantPermissions", { permissions, browserContextId });
  }

  async withoutScript(): Promise<void> {
    await this.send("Emulation.setScriptExecutionDisabled", { value: true });
  }

  /** As PNG. @param clip part of the page; what is in the window where there is none */
  async screenshot(clip?: { x: number; y: number; width: number; height: number }): Promise<Uint8Array> {
    const part = clip === undefined ? {} : { clip: { ...clip, scale: 1 }, captureBeyondViewport: true };
    const { data } = await this.send("Page.captureScreenshot", { format: "png", ...part });
    return Buffer.from(data as string, "base64");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.devTools.send("", "Target.closeTarget", { targetId: this.targetId });
  }

  #note(method: string, params: Fields): void {
    if (method === "Page.loadEventFired") this.#loaded.resolve();
    if (method === "Network.requestWillBeSent")
      this.requests.push((params["request"] as { url: string }).url);
    if (method === "Runtime.exceptionThrown") this.complaints.push(describe(params["exceptionDetails"]));
    if (method === "Log.entryAdded") {
      const { level, text, url } = params["entry"] as { level: string; text: string; url?: string };
      if (level === "error" || level === "warning") this.complaints.push(`${text} ${url ?? ""}`);
    }
    if (
      method === "Runtime.consoleAPICalled" &&
      ["error", "warning", "assert"].includes(params["type"] as string)
    )
      this.complaints.push(JSON.stringify(params["args"]));
  }
}

function describe(details: unknown): string {
  const { text, exception } = details as { text: string; exception?: { description?: string } };
  return exception?.description ?? text;
}
