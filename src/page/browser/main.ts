import type { MeshResult } from "../../diagnose/mesh/result.ts";
import type { PageFacts } from "../facts.ts";
import { MATRIX_ID, sections } from "../sections.ts";
import { Contact } from "./contact.ts";
import { addCopyButtons } from "./copy.ts";
import { History } from "./history.ts";
import { Matrix } from "./matrix.ts";
import { PageClock } from "./page-clock.ts";
import { showPart } from "./parts.ts";
import { Plots } from "./plots.ts";
import { poll } from "./poll.ts";

/** The page, alive: asks its server every two seconds, and shows what has changed. */

function element(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found;
}

function start(): void {
  addCopyButtons();
  const clock = new PageClock();
  const history = new History();
  const plots = new Plots(history, element("sessions"));
  const server = new Contact("The server", element("summary").closest("main")!);
  let isMeshAsked = false;
  void poll<PageFacts>("page.json", 1, {
    onValue(facts) {
      for (const { id, html } of sections(facts, location.host, location.pathname)) showPart(id, html);
      clock.told(facts);
      history.add(facts, clock.nowS());
      showMoment(facts.at);
      addCopyButtons();
      plots.draw(clock.nowS());
      server.answered();
      if (facts.mesh && !isMeshAsked) {
        isMeshAsked = true;
        askMesh();
      }
    },
    onFailure(why) {
      server.lost(why);
      history.miss(clock.nowS());
      plots.draw(clock.nowS());
    },
  });
}

function askMesh(): void {
  const part = element(MATRIX_ID);
  const matrix = new Matrix(part);
  const prober = new Contact("The mesh", part);
  element(`${MATRIX_ID}-section`).hidden = false; // for what there is to say where nothing comes
  void poll<MeshResult>("mesh.json?scope=all", 1, {
    onValue(mesh) {
      matrix.show(mesh);
      prober.answered();
    },
    onFailure: (why) => prober.lost(why),
  });
}

function showMoment(at: string): void {
  const moment = element("as-of");
  moment.textContent = at;
  moment.setAttribute("datetime", at);
}

start();
