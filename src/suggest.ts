// "Did you mean …?": the nearest known name, if one is near enough to be a slip.

/** The candidate fewest edits away, ignoring case; undefined when even that one is too far. */
export function suggest(word: string, candidates: Iterable<string>): string | undefined {
  // One letter is near to every other.
  if (word.length < 2) return undefined;
  const wanted = word.toLowerCase();
  let best: string | undefined;
  let bestDistance = Math.min(3, Math.max(1, Math.floor(wanted.length / 3))) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(wanted, candidate.toLowerCase(), bestDistance);
    if (distance < bestDistance && candidate !== word) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** The hint for an unknown name, or undefined. */
export function didYouMean(word: string, candidates: Iterable<string>, show = (name: string): string => name): string | undefined {
  const found = suggest(word, candidates);
  return found === undefined ? undefined : `did you mean ${show(found)}?`;
}

// Insertions, deletions, replacements and swapped neighbours count one each (optimal string alignment).
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let before: readonly number[] = [];
  let leastBefore = 0;
  let previous: readonly number[] = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    let leastOfRow = row;
    for (let column = 1; column <= b.length; column++) {
      const cost = a[row - 1] === b[column - 1] ? 0 : 1;
      let least = Math.min((previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1, (previous[column - 1] ?? 0) + cost);
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        least = Math.min(least, (before[column - 2] ?? 0) + 1);
      }
      current.push(least);
      leastOfRow = Math.min(leastOfRow, least);
    }
    // What is below comes from this row, or with a swap from the one above it: names of 60 KB differ in their first letters.
    if (Math.min(leastOfRow, leastBefore + 1) >= limit) return limit;
    leastBefore = leastOfRow;
    before = previous;
    previous = current;
  }
  return previous[b.length] ?? limit;
}
