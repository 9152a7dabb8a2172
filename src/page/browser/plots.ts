import uPlot from "uplot";
import { escapeHtml, folded } from "../html.ts";
import { FIGURES, type Figure, type History, KEPT_S, type Protocol } from "./history.ts";
import { morph } from "./morph.ts";
import { figureText, inWords, minuteTable, TITLES } from "./plot-words.ts";

const HEIGHT = 110;
const FONT = "11px system-ui, sans-serif";

/** Two protocols are told apart without colour too. */
const DASHES: Readonly<Record<Protocol, number[]>> = { TCP: [], UDP: [4, 3] };

/** One figure, a line for each protocol, and what it shows in words. */
interface Drawn {
  readonly figure: Figure;
  readonly words: HTMLElement;
  readonly frame: HTMLElement;
  plot: uPlot | null;
}

/** Sessions and rates of the last ten minutes, as small plots and as a table. */
export class Plots {
  readonly #root = document.createElement("div");
  readonly #drawn: readonly Drawn[];
  readonly #table = document.createElement("div");
  #protocols = "";

  /** @param after what they come to stand behind */
  constructor(
    readonly history: History,
    after: Element,
  ) {
    this.#root.className = "plots";
    this.#drawn = FIGURES.map((figure) => makeFigure(figure, this.#root));
    after.after(this.#root, this.#table);
    const resized = new ResizeObserver(() => this.#fit());
    resized.observe(this.#root);
    // Colours are asked for when a line is drawn.
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#redraw());
    this.#table.addEventListener("toggle", () => this.#tell(), true);
  }

  /** Draws what there is. @param nowS on the clock of the history */
  draw(nowS: number): void {
    const { protocols } = this.history;
    if (this.#protocols !== protocols.join()) this.#make(protocols);
    for (const { figure, words, plot } of this.#drawn) {
      morph(
        words,
        keysHtml(protocols, (protocol) => inWords(this.history, protocol, figure)),
      );
      const lines = protocols.map((protocol) => this.history.values(protocol, figure));
      plot?.setData([this.history.times, ...lines]);
      plot?.setScale("x", { min: nowS - KEPT_S, max: nowS });
    }
    this.#tell(nowS);
  }

  /** The table is long, and made only where it is unfolded. */
  #tell(nowS = this.history.times.at(-1) ?? 0): void {
    const isOpen = this.#table.querySelector("details")?.open ?? false;
    morph(
      this.#table,
      folded("rates", "The plots as a table", isOpen ? minuteTable(this.history, nowS) : ""),
    );
  }

  #make(protocols: readonly Protocol[]): void {
    this.#protocols = protocols.join();
    for (const drawn of this.#drawn) {
      drawn.plot?.destroy();
      drawn.plot = new uPlot(optionsOf(drawn, protocols), undefined, drawn.frame);
    }
    this.#fit();
  }

  #fit(): void {
    for (const { plot, frame } of this.#drawn) plot?.setSize({ width: frame.clientWidth, height: HEIGHT });
  }

  #redraw(): void {
    for (const { plot } of this.#drawn) plot?.redraw();
  }
}

/** Words of each protocol behind a piece of its line: which of the two lines is which. */
function keysHtml(protocols: readonly Protocol[], words: (protocol: Protocol) => string): string {
  const keys = protocols.map((protocol, at) => {
    const end = at === protocols.length - 1 ? "" : ";";
    return `<span class="key ${protocol.toLowerCase()}">${escapeHtml(words(protocol))}${end}</span>`;
  });
  return keys.join(" ");
}

function makeFigure(figure: Figure, root: HTMLElement): Drawn {
  const element = document.createElement("figure");
  const caption = document.createElement("figcaption");
  const title = document.createElement("b");
  const words = document.createElement("span");
  const frame = document.createElement("div");
  title.textContent = TITLES[figure];
  caption.append(title, " ", words);
  frame.className = "plot";
  frame.setAttribute("aria-hidden", "true"); // its caption and the table say the same
  element.append(caption, frame);
  root.append(element);
  return { figure, words, frame, plot: null };
}

function optionsOf({ figure, frame }: Drawn, protocols: readonly Protocol[]): uPlot.Options {
  const colour = (name: string) => () => getComputedStyle(frame).getPropertyValue(name);
  const axis = {
    stroke: colour("--soft"),
    font: FONT,
    ticks: { show: false },
    grid: { stroke: colour("--line"), width: 1 },
  };
  return {
    width: Math.max(1, frame.clientWidth),
    height: HEIGHT,
    padding: [8, 16, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: { time: false, auto: false },
      y: { range: (_plot, _least, most) => [0, (most || (isBytes(figure) ? 1024 : 1)) * 1.1] },
    },
    axes: [
      {
        ...axis,
        size: 20,
        splits: minutesBack,
        values: (plot, splits) => splits.map((at) => ageText(plot, at)),
      },
      {
        ...axis,
        size: 56,
        space: 24,
        ...(isBytes(figure) ? { incrs: POWERS_OF_TWO } : {}),
        values: (_plot, splits) => splits.map((value) => figureText(figure, value)),
      },
    ],
    series: [
      {},
      ...protocols.map((protocol) => ({
        stroke: colour(`--${protocol.toLowerCase()}`),
        dash: DASHES[protocol],
        width: 1.5,
        points: { show: false },
      })),
    ],
  };
}

/** As bytes are written. */
const POWERS_OF_TWO = Array.from({ length: 60 }, (_, power) => 2 ** power);

function isBytes(figure: Figure): boolean {
  return figure === "receivedBytes" || figure === "sentBytes";
}

const LINE_EVERY_S = 120;

function minutesBack(_plot: uPlot, _axis: number, min: number, max: number): number[] {
  const lines = Math.floor((max - min) / LINE_EVERY_S);
  return Array.from({ length: lines }, (_, at) => max - (lines - 1 - at) * LINE_EVERY_S);
}

/** `-4 min`, `now` */
function ageText({ scales }: uPlot, at: number): string {
  const minutes = Math.round(((scales["x"]?.max ?? at) - at) / 60);
  return minutes === 0 ? "now" : `-${minutes} min`;
}
