import { morph } from "./morph.ts";

/** HTML that each part of the page shows. */
const shown = new Map<string, string>();

/**
 * Shows a part of the page: what stands in `<div id="ID">`, in `<section id="ID-section">`, which is hidden where there
 * is nothing to show. Touches nothing where nothing has changed.
 */
export function showPart(id: string, html: string): void {
  if (shown.get(id) === html) return;
  const part = document.getElementById(id);
  const section = document.getElementById(`${id}-section`);
  if (part === null || section === null) return; // made by another version of the server, which has no such part
  morph(part, html);
  section.hidden = html === "";
  shown.set(id, html);
}
