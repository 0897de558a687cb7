/** Proposes known names in place of one that is not known. */

/** Returns, for example, `Did you mean epochs?`; undefined if no known name is similar. */
export function suggestion(name: string, known: readonly string[]): string | undefined {
  const similar = known.filter((other) => isSimilar(name, other));
  return similar.length > 0 ? `Did you mean ${similar.join(' or ')}?` : undefined;
}

/** Returns true if at most two letters are inserted, left out or changed, or if one name begins with the other. */
function isSimilar(a: string, b: string): boolean {
  const [one, other] = [a.toLowerCase(), b.toLowerCase()];
  if (one.length > 2 && (other.startsWith(one) || one.startsWith(other))) return true;
  let row = Array.from({ length: other.length + 1 }, (_, i) => i);
  for (const [i, letter] of one.split('').entries()) {
    const next = [i + 1];
    for (let j = 0; j < other.length; j++) {
      const changed = (row[j] ?? 0) + (letter === other[j] ? 0 : 1);
      next.push(Math.min(changed, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return (row.at(-1) ?? 0) <= Math.min(2, Math.floor(other.length / 2));
}
