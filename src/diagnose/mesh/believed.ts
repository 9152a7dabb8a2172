/**
 * The addresses that a name is believed to have. That it has none any more is believed when it is said twice in a row: of
 * a search list the C library tells the last name's answer (res_search(3)), so where the question for the first was lost,
 * and the network came back meanwhile, it says that there is no such name, of another name.
 */
export class Believed {
  addresses: readonly string[] = [];
  #wasNone = false;

  /**
   * Takes an answer.
   * @param answered none: it has none, as is said
   * @returns whether it is believed
   */
  take(answered: readonly string[]): boolean {
    const isNone = answered.length === 0;
    const isDoubtful = isNone && this.addresses.length > 0 && !this.#wasNone;
    this.#wasNone = isNone;
    if (!isDoubtful) this.addresses = answered;
    return !isDoubtful;
  }
}
