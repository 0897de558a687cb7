/**
 * Makes text of a peer safe to print. A terminal executes control characters, a line break could imitate another line of the log, and
 * characters that change the direction of writing could disguise a text.
 */

/** C0 and C1 controls, line separators, and marks that change the direction of writing. */
const controls = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;
/** The same without line breaks and tabs. */
const controlsInLines =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

const replacement = '\ufffd';

const cut = (text: string, maxLength: number): string =>
  text.length > maxLength ? `${text.slice(0, maxLength)}…` : text;

/** Returns one line of at most `maxLength` characters, in which control characters are replaced. */
export function printableLine(text: string, maxLength = Infinity): string {
  return cut(text, maxLength).replace(controls, replacement);
}

/** Returns lines of at most `maxLength` characters in total. Every line after the first one is indented. */
export function printableLines(text: string, maxLength = Infinity): string {
  return cut(text, maxLength)
    .replace(/\r\n/g, '\n')
    .replace(controlsInLines, replacement)
    .replace(/\n(?! )/g, '\n  ');
}
