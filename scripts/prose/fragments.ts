/** Recognizes texts that begin with a sentence fragment, by their first words. */

const commentOpenings =
  /^(of|what|who|whoever|whose|where|those|whether|how|so often|asked|told|from when)\b(?!')/i;
const nameOpenings = /^(of|what|how|so|who|whoever|whose|whether)\b(?!')/i;

/** Returns true if a comment that begins with `text` begins with a fragment. */
export function beginsWithFragment(text: string): boolean {
  return commentOpenings.test(text);
}

/** Returns true if the description or test name `text` is a fragment instead of a noun phrase or a sentence. */
export function describesAsFragment({ text }: { readonly text: string }): boolean {
  return nameOpenings.test(text);
}
