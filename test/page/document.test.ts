import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { noMatrix } from "../../src/page/document.ts";
import type { PageFacts } from "../../src/page/facts.ts";
import { sections } from "../../src/page/sections.ts";
import { someFacts } from "./facts.ts";
import { parse } from "./markup.ts";
import { renderPage } from "./render.ts";

const page = (changed: Partial<PageFacts> = {}, host: string | null = "localhost:8080"): string =>
  renderPage(someFacts(changed), host, "");

describe("without a script", () => {
  test("every number and every word is there as text", async () => {
    const { text } = await parse(page());
    const all = [
      ...["server2-abc", "node-b", "serving", "up for 1 h 2 min", "linux (self-test passed)", "[::]:1234"],
      ...["17", "1,234,567", "31", "1.5 KiB", "2,345", "2.0 MiB"],
      ...["own_port", "4,321", "Another echo server.", "gone", "The client had left."],
      ...["412 ms ago", "1 min 13 s ago hangs", "0.3 ms", "TCP and UDP"],
      ...["10.244.9.9:40000", "08:00:18", "12 s ago", "70.0 KiB", "open", "ended", "server1.headless"],
      ...["not ready", "did not say", "draining", "no address", "3.0 KiB", "55", "tcp, port 8080 this one"],
      ...[
        "3 members, asked at their container tcp: 1 serving, 1 draining, 1 without an address.",
        "10.244.2.2",
        "node-a",
        "this Pod",
      ],
      ...["nc server2.headless 1234", "By hand.", "2026-11-26T08:00:30.000Z"],
    ];
    for (const words of all) expect(text).toContain(words);
  });

  test("it asks for itself again, and only then; nothing comes from elsewhere, and nothing runs that stands in it", async () => {
    const html = page();
    expect(html).toContain('<noscript><meta http-equiv="refresh" content="5"></noscript>');
    expect(html.match(/http-equiv/g)).toHaveLength(1);
    const { elements } = await parse(html);
    const scripts = elements.filter(({ tag }) => tag === "script");
    expect(scripts).toEqual([{ tag: "script", attributes: { src: "page.js", defer: "" } }]);
    for (const { tag, attributes } of elements) {
      expect(["style", "iframe", "base", "form", "img"]).not.toContain(tag);
      for (const name of Object.keys(attributes)) expect(name).not.toMatch(/^on|^style$|^title$/);
      const loaded = attributes["src"] ?? (tag === "link" ? attributes["href"] : undefined);
      if (loaded !== undefined) expect(loaded).toMatch(/^(page\.(js|css)|data:,)$/); // an empty icon is asked for nowhere
    }
  });

  test("each part that has something to show is named by its heading; ids are unique", async () => {
    const { elements } = await parse(page());
    const ids = elements.flatMap(({ attributes }) => attributes["id"] ?? []);
    expect(new Set(ids).size).toBe(ids.length);
    const parts = elements.filter(({ tag }) => tag === "section");
    expect(parts.length).toBe(sections(someFacts(), null).length + 1);
    for (const { attributes } of parts.slice(1)) {
      expect(ids).toContain(attributes["aria-labelledby"]!);
      expect([attributes["id"], "hidden" in attributes]).toEqual([
        attributes["id"],
        attributes["id"] === "matrix-section",
      ]);
    }
    expect(elements.filter(({ tag }) => tag === "h1")).toHaveLength(1);
    // A landmark within a landmark of the same name is one too many for who goes by them.
    expect(elements.filter(({ attributes }) => attributes["role"] === "region")).toEqual([]);
  });
});

test("of a container that refused nothing it is not said of the whole Pod", () => {
  const html = (changed: Partial<PageFacts>): string =>
    sections(
      someFacts({ refusals: someFacts().refusals.map((row) => ({ ...row, count: 0 })), ...changed }),
      null,
    ).find(({ id }) => id === "refusals")!.html;
  expect(html({})).toContain("<p>Nothing by this container.</p>");
  expect(html({ containers: [] })).toContain("<p>Nothing.</p>");
});

describe("clients", () => {
  test("strangers first, members of the fleet folded below", async () => {
    const [html] = sections(someFacts(), null).flatMap(({ id, html }) => (id === "clients" ? [html] : []));
    const stranger = html!.indexOf("10.244.9.9:40000");
    const fold = html!.indexOf("<details");
    expect(stranger).toBeGreaterThan(0);
    expect(fold).toBeGreaterThan(stranger);
    expect(html!.indexOf("10.244.1.2:41111")).toBeGreaterThan(fold);
    expect((await parse(html!)).text).toContain("1 of the fleet itself");
  });

  test("ten are seen at once, those before them are folded", () => {
    const [one] = someFacts().clients!;
    const clients = Array.from({ length: 12 }, (_, at) => ({ ...one!, client: `10.0.0.${at}:1` }));
    const { html } = sections(someFacts({ clients }), null).find(({ id }) => id === "clients")!;
    const [seen, before] = html.split("<details");
    expect(seen!.match(/<tr><th scope="row">/g)).toHaveLength(10);
    expect(before).toContain("2 before them");
    for (const at of [10, 11]) expect(before).toContain(`10.0.0.${at}:1`);
  });

  test("nobody yet, members alone, and none kept at all are told apart", () => {
    const of = (clients: PageFacts["clients"]): string =>
      sections(someFacts({ clients }), null).find(({ id }) => id === "clients")!.html;
    const [, member] = someFacts().clients!;
    expect(of(null)).toBe("");
    expect(of([])).toContain("<p>Nobody yet.</p>");
    expect(of([member!])).toContain("Nobody yet but members of the fleet.");
  });
});

describe("where the matrix stands", () => {
  const order = (html: string): number[] =>
    ["summary", "matrix", "sessions", "commands"].map((id) => html.indexOf(`id="${id}-section"`));

  test("last but the commands on a server, first on a prober, which serves nobody", () => {
    const [summary, matrix, sessionsAt, commands] = order(page()) as [number, number, number, number];
    expect(summary < sessionsAt && sessionsAt < matrix && matrix < commands).toBe(true);
    const prober = order(page({ sessions: [] })) as [number, number, number, number];
    expect(prober[0] < prober[1] && prober[1] < prober[2]).toBe(true);
  });

  test("why it did not come, in words", () => {
    const html = renderPage(someFacts({ mesh: true }), null, noMatrix("<b> did not answer"));
    expect(html).toContain("No matrix now: &#60;b&#62; did not answer.");
    expect(html).toContain('href="mesh.json?scope=all"');
    expect(html).toContain('<section id="matrix-section" aria-labelledby="matrix-title">');
  });
});

describe("links to the other containers", () => {
  test("by the host that was asked, to each but this one", () => {
    const links = (host: string | null): string[] =>
      [...page({}, host).matchAll(/href="(http[^"]*)"/g)].map(([, link]) => link!);
    expect(links("localhost:8080")).toEqual(["http://localhost:8081/", "http://localhost:8082/"]);
    expect(links("[fd00::1]:80")).toEqual(["http://[fd00::1]:8081/", "http://[fd00::1]:8082/"]);
    for (const host of [null, "", 'a"><script>alert(1)</script>', "javascript:alert(1)//"])
      expect([host, links(host)]).toEqual([host, []]);
    expect(page({}, null)).toContain('<th scope="row">udp, port 8081</th>');
  });
});

/** The same facts with every text in them replaced. */
function withTexts(facts: PageFacts, text: string): PageFacts {
  const kept = ["state", "protocol", "what", "at"]; // what is no free text, and decides what is shown
  const replace = (value: unknown, key: string): unknown => {
    if (typeof value === "string") return kept.includes(key) ? value : text;
    if (Array.isArray(value)) return value.map((each) => replace(each, key));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, replace(each, name)]));
  };
  return replace(facts, "") as PageFacts;
}

test("no text becomes markup: whatever names, clients, reasons and commands are, the elements are the same", async () => {
  const skeleton = async (text: string, host: string): Promise<[string, string[]][]> => {
    const html = renderPage(withTexts(someFacts(), text), host, noMatrix(text));
    return (await parse(html)).elements.map(({ tag, attributes }) => [tag, Object.keys(attributes)]);
  };
  const plain = await skeleton("x", "?");
  const nasty = fc.string({ unit: fc.constantFrom(..."<>&\"'=/-! ab#;x\n\0`"), minLength: 1, maxLength: 30 });
  const known = fc.constantFrom(
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title><script>",
    "</noscript><b>",
    "--><b>",
    "' onclick='x",
    "&lt;b&gt;",
    "&#60;b&#62;",
  );
  await fc.assert(
    fc.asyncProperty(fc.oneof(known, nasty), fc.oneof(known, nasty), async (text, host) => {
      expect(await skeleton(text, `?${host}`)).toEqual(plain);
      const shown = await parse(renderPage(withTexts(someFacts(), text), null, ""));
      expect(shown.text).toContain(text);
    }),
    { numRuns: 150 },
  );
});
