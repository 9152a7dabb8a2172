/** An element as a parser of HTML sees it: its name and its attributes. */
export interface Seen {
  readonly tag: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** What a parser makes of HTML: every element in order, and all text outside of tags. */
export async function parse(html: string): Promise<{ elements: Seen[]; text: string }> {
  const elements: Seen[] = [];
  let text = "";
  const reader = new HTMLRewriter()
    .on("*", {
      element({ tagName, attributes }) {
        elements.push({ tag: tagName, attributes: Object.fromEntries([...attributes]) });
      },
    })
    .onDocument({
      text(chunk) {
        text += chunk.text;
      },
    });
  await reader.transform(new Response(html)).text();
  return { elements, text: decode(text) };
}

/** Text as a reader sees it: the entities that are written here are decimal ones. */
export function decode(text: string): string {
  return text.replace(/&#(\d+);/g, (_, digits: string) => String.fromCharCode(Number(digits)));
}
