/** Attributes that whoever looks has changed, or this script: what the server would say of them is not asked. */
const KEPT = new Set(["open", "tabindex"]);

/**
 * Makes what is in an element be this HTML, touching only what differs: focus, selection, scroll, unfolded details and
 * open popovers stay. Children with the same `data-key` or id are the same one, wherever they stand. Elements with
 * `data-own` were put there by this script and stay where they are, last.
 */
export function morph(target: Element, html: string): void {
  const template = document.createElement("template");
  template.innerHTML = html;
  patchChildren(target, template.content);
}

function patchChildren(old: Element, fresh: ParentNode & Node): void {
  const wanted = new Set([...fresh.childNodes].map(keyOf));
  const keyed = new Map<string, ChildNode>();
  for (const child of [...old.childNodes]) {
    const key = keyOf(child);
    if (key === null || isOwn(child)) continue;
    if (wanted.has(key)) keyed.set(key, child);
    else child.remove();
  }
  let cursor = old.firstChild;
  for (const node of [...fresh.childNodes]) {
    const match = matchOf(node, cursor, keyed);
    if (match === null) old.insertBefore(node, cursor);
    else {
      if (match === cursor) cursor = cursor.nextSibling;
      else old.insertBefore(match, cursor);
      patch(match, node);
    }
  }
  while (cursor !== null) {
    const next: ChildNode | null = cursor.nextSibling;
    if (!isOwn(cursor)) cursor.remove();
    cursor = next;
  }
}

/** The child that is to become this node; null where there is none. */
function matchOf(
  node: ChildNode,
  cursor: ChildNode | null,
  keyed: ReadonlyMap<string, ChildNode>,
): ChildNode | null {
  const key = keyOf(node);
  if (key !== null) {
    const known = keyed.get(key);
    return known !== undefined && known.nodeName === node.nodeName ? known : null;
  }
  const same =
    cursor !== null && cursor.nodeName === node.nodeName && keyOf(cursor) === null && !isOwn(cursor);
  return same ? cursor : null;
}

function patch(old: ChildNode, fresh: ChildNode): void {
  if (!(old instanceof Element && fresh instanceof Element)) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  if (old.isEqualNode(fresh)) return;
  for (const { name, value } of [...fresh.attributes])
    if (!KEPT.has(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const { name } of [...old.attributes])
    if (!KEPT.has(name) && !fresh.hasAttribute(name)) old.removeAttribute(name);
  // A popover that is not open has no details in what is fresh; they are put there when it is opened.
  if (fresh.hasAttribute("popover") && !fresh.hasChildNodes()) return;
  patchChildren(old, fresh);
}

function keyOf(node: Node): string | null {
  if (!(node instanceof HTMLElement)) return null;
  return node.dataset["key"] ?? (node.id === "" ? null : node.id);
}

function isOwn(node: Node): boolean {
  return node instanceof HTMLElement && node.dataset["own"] !== undefined;
}
