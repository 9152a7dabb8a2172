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

function patchChildren(old: Element, fresh: Node): void {
  let mine = old.firstChild;
  let theirs = fresh.firstChild;
  // As far as both have the same ones, which mostly is to the end.
  while (mine !== null && theirs !== null && isSame(mine, theirs)) {
    patch(mine, theirs);
    mine = mine.nextSibling;
    theirs = theirs.nextSibling;
  }
  if (mine !== null || theirs !== null) rearrange(old, mine, theirs);
}

/** Makes the children from `mine` on be those from `theirs` on. */
function rearrange(old: Element, mine: ChildNode | null, theirs: ChildNode | null): void {
  const wanted = new Set(siblings(theirs).map(keyOf));
  const keyed = new Map<string, ChildNode>();
  let cursor = mine;
  for (const child of siblings(mine)) {
    const key = keyOf(child);
    if (key === null || isOwn(child)) continue;
    if (wanted.has(key)) keyed.set(key, child);
    else {
      if (child === cursor) cursor = child.nextSibling;
      child.remove();
    }
  }
  for (const node of siblings(theirs)) {
    const key = keyOf(node);
    const match = key === null ? cursor : (keyed.get(key) ?? null);
    if (match === null || !isSame(match, node)) {
      old.insertBefore(node, cursor);
      continue;
    }
    if (match === cursor) cursor = cursor.nextSibling;
    else old.insertBefore(match, cursor);
    patch(match, node);
  }
  for (const child of siblings(cursor)) if (!isOwn(child)) child.remove();
}

function patch(old: ChildNode, fresh: ChildNode): void {
  if (!(old instanceof Element && fresh instanceof Element)) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  if (old.isEqualNode(fresh)) return;
  for (const { name, value } of fresh.attributes)
    if (!KEPT.has(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
  if (old.attributes.length > fresh.attributes.length)
    for (const { name } of [...old.attributes])
      if (!KEPT.has(name) && !fresh.hasAttribute(name)) old.removeAttribute(name);
  // A popover that is not open has no details in what is fresh; they are put there when it is opened.
  if (fresh.hasAttribute("popover") && !fresh.hasChildNodes()) return;
  patchChildren(old, fresh);
}

/** Whether one can become the other. */
function isSame(old: ChildNode, fresh: ChildNode): boolean {
  return old.nodeName === fresh.nodeName && keyOf(old) === keyOf(fresh) && !isOwn(old);
}

/** This one and those behind it, as they stand now. */
function siblings(first: ChildNode | null): ChildNode[] {
  const all: ChildNode[] = [];
  for (let node = first; node !== null; node = node.nextSibling) all.push(node);
  return all;
}

function keyOf(node: Node): string | null {
  return node instanceof Element ? (node.getAttribute("data-key") ?? node.getAttribute("id")) : null;
}

function isOwn(node: Node): boolean {
  return node instanceof Element && node.hasAttribute("data-own");
}
