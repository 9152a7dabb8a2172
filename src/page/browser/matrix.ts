import type { MeshResult } from "../../diagnose/mesh/result.ts";
import { detailsHtml, matrixHtml, popoverId } from "../matrix.ts";
import { morph } from "./morph.ts";
import { showPart } from "./parts.ts";

/**
 * The mesh's matrix: updated in place, details of a cell made when it is opened, and one stop of the tabulator, with
 * arrow keys inside: 500 cells would be 500 stops.
 */
export class Matrix {
  #mesh: MeshResult | null = null;

  constructor(readonly part: HTMLElement) {
    // Neither bubbles nor is it told to who stands above, but on its way down.
    part.addEventListener("beforetoggle", (event) => this.#onToggle(event), true);
    part.addEventListener("keydown", (event) => this.#onKey(event));
    part.addEventListener("focusin", ({ target }) => {
      if (target instanceof HTMLButtonElement) this.#rove(target);
    });
  }

  show(mesh: MeshResult): void {
    this.#mesh = mesh;
    const isOpen = (key: string): boolean =>
      document.getElementById(popoverId(key))?.matches(":popover-open") ?? false;
    showPart(this.part.id, matrixHtml(mesh, isOpen));
    this.#rove(this.#buttons().find((button) => button.tabIndex === 0 && button.hasAttribute("tabindex")));
  }

  #onToggle(event: Event): void {
    const { target: popover } = event;
    if (!(event instanceof ToggleEvent && popover instanceof HTMLElement) || this.#mesh === null) return;
    if (event.newState === "open") morph(popover, detailsHtml(this.#mesh, popover.id));
  }

  /** Leaves one button to the tabulator: this one, or the first. */
  #rove(chosen: HTMLButtonElement | undefined): void {
    const buttons = this.#buttons();
    const one = chosen ?? buttons[0];
    for (const button of buttons) {
      const wanted = button === one ? "0" : "-1";
      if (button.getAttribute("tabindex") !== wanted) button.setAttribute("tabindex", wanted);
    }
  }

  #buttons(): HTMLButtonElement[] {
    return [...this.part.querySelectorAll<HTMLButtonElement>("td > button")];
  }

  #onKey(event: KeyboardEvent): void {
    const { target, key, altKey, ctrlKey, metaKey, shiftKey } = event;
    const step = STEPS[key];
    if (step === undefined || altKey || ctrlKey || metaKey || shiftKey) return;
    if (!(target instanceof HTMLButtonElement)) return;
    const next = neighbour(target, step);
    event.preventDefault(); // the arrow scrolls nothing, at the edge neither
    next?.focus({ preventScroll: true }); // which would be content with a part of it
    next?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}

/** Rows and columns that a key goes on by. */
const STEPS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

/** The next cell that can be opened, in a straight line; null where there is none. */
function neighbour(button: HTMLButtonElement, [down, right]: readonly [number, number]): HTMLElement | null {
  const cell = button.closest("td");
  const row = cell?.closest("tr");
  const body = row?.closest("tbody");
  if (cell === null || cell === undefined || row === null || row === undefined || !body) return null;
  let y = row.sectionRowIndex + down;
  let x = cell.cellIndex + right;
  for (; body.rows[y]?.cells[x] !== undefined; y += down, x += right) {
    const found = body.rows[y]!.cells[x]!.querySelector("button");
    if (found !== null) return found;
  }
  return null;
}
