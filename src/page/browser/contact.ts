/**
 * Says whether who is asked answers: a line before what it told, where it does not, with since when. What it told last
 * stays, and is marked as old.
 */
export class Contact {
  readonly #line = document.createElement("p");
  #answeredAt = new Date();
  #lost = false;

  /**
   * @param who in words
   * @param told what is old where it does not answer
   */
  constructor(
    readonly who: string,
    readonly told: Element,
  ) {
    this.#line.className = "contact";
    this.#line.setAttribute("role", "alert"); // is said to who does not see it, once: its text does not change by itself
    this.#line.hidden = true;
    told.before(this.#line);
  }

  answered(): void {
    this.#answeredAt = new Date();
    if (!this.#lost) return;
    this.#lost = false;
    this.#line.hidden = true;
    this.#line.textContent = "";
    this.told.classList.remove("old");
  }

  /** @param why in words */
  lost(why: string): void {
    const since = this.#answeredAt.toISOString().slice(11, 19);
    const text = `${this.who}: ${why}, since ${since} UTC. What stands here is from then.`;
    if (this.#line.textContent !== text) this.#line.textContent = text;
    this.#lost = true;
    this.#line.hidden = false;
    this.told.classList.add("old");
  }
}
