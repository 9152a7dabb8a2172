/** Changes of a letter up to which one word is taken for another misspelt. */
const CHANGES_MAX = 3;

/** The word that is nearest to what somebody wrote, or null where none is near. */
export function nearest(written: string, words: Iterable<string>): string | null {
  let best: string | null = null;
  let fewest = CHANGES_MAX + 1;
  for (const word of words) {
    const changes = distance(written, word);
    if (changes >= fewest) continue;
    best = word;
    fewest = changes;
  }
  return best;
}

/** Letters to insert, to remove, to replace or to swap with their neighbour (optimal string alignment distance). */
export function distance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      row[j] = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1));
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) row[j] = Math.min(row[j]!, before[j - 2]! + 1);
    }
    before = last;
    last = row;
  }
  return last[b.length]!;
}
