/** Extracts the comments of a source file, line by line. Strings that look like comments are not comments. */
import { extname } from 'node:path';
import ts from 'typescript';

export interface CommentLine {
  /** Line number in the file, from 1. */
  readonly line: number;
  /** The line's text without comment marks and surrounding space; never empty. */
  readonly text: string;
  /** True for the first line of a block and for a line after an empty comment line. */
  readonly begins: boolean;
}

/** One comment of a file, marks included, at a character offset. */
interface Comment {
  readonly start: number;
  readonly text: string;
}

// An apostrophe after a digit separates digits in C++, as in 1'000.
const cComments = /"(?:\\.|[^"\\\n])*"|(?<![\da-fA-F])'(?:\\.|[^'\\\n])*'|(\/\/[^\n]*|\/\*[^]*?\*\/)/g;
const cssComments = /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|(\/\*[^]*?\*\/)/g;
const htmlComments = /(<!--[^]*?-->)/g;
// A triple-quoted string that begins a line is a docstring.
const pythonComments =
  /((?<=^[ \t]*)"""[^]*?""")|"""[^]*?"""|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|(#[^\n]*)/gm;

const extractors: Readonly<Record<string, (source: string) => Comment[]>> = {
  '.ts': scriptComments,
  '.js': scriptComments,
  '.mjs': scriptComments,
  '.cc': (source) => lexed(source, cComments),
  '.h': (source) => lexed(source, cComments),
  '.css': (source) => lexed(source, cssComments),
  '.html': (source) => lexed(source, htmlComments),
  '.py': (source) => lexed(source, pythonComments),
};

/** Returns true if `commentLines` supports the type of the file. */
export function hasComments(file: string): boolean {
  return extname(file) in extractors;
}

/** Returns all comment lines of a file that contain text, in order. */
export function commentLines(file: string, source: string): CommentLine[] {
  const extract = extractors[extname(file)];
  if (extract === undefined)
    throw new Error(`${file}: expected one of ${Object.keys(extractors).join(', ')}.`);
  const lines: CommentLine[] = [];
  let lastLine = Number.NEGATIVE_INFINITY;
  let lastWasLineComment = false;
  let begins = true;
  for (const { start, text } of extract(source)) {
    const before = source.slice(0, start).split('\n');
    const first = before.length;
    const isLineComment = /^(\/\/|#)/.test(text);
    const isAlone = before.at(-1)?.trim() === '';
    const continues = isLineComment && isAlone && lastWasLineComment && first === lastLine + 1;
    if (!continues) begins = true;
    const contents = text.split('\n').map(withoutMarks);
    for (const [i, content] of contents.entries()) {
      if (content !== '') lines.push({ line: first + i, text: content, begins });
      begins = content === '';
    }
    lastLine = first + contents.length - 1;
    lastWasLineComment = isLineComment;
  }
  return lines;
}

function withoutMarks(line: string): string {
  return line
    .trim()
    .replace(/^(\/\*+|\/\/+|<!--|"""|#+|\*(?!\/))/, '')
    .replace(/(\*+\/|-->|""")$/, '')
    .trim();
}

/** Returns the matches' captured groups: alternatives without a group skip strings. */
function lexed(source: string, pattern: RegExp): Comment[] {
  return [...source.matchAll(pattern)].flatMap(({ index, 1: first, 2: second }) => {
    const text = first ?? second;
    return text === undefined ? [] : [{ start: index, text }];
  });
}

/** TypeScript and JavaScript: the trivia around every token, so that strings, templates and regular expressions are no comments. */
function scriptComments(source: string): Comment[] {
  const file = ts.createSourceFile('file.ts', source, ts.ScriptTarget.Latest, true);
  const found = new Map<number, string>();
  const visit = (node: ts.Node): void => {
    if (node.kind === ts.SyntaxKind.JSDoc) return;
    if (!ts.isToken(node)) {
      for (const child of node.getChildren(file)) visit(child);
      return;
    }
    const ranges = [
      ...(ts.getLeadingCommentRanges(source, node.pos) ?? []),
      ...(ts.getTrailingCommentRanges(source, node.end) ?? []),
    ];
    for (const { pos, end } of ranges) found.set(pos, source.slice(pos, end));
  };
  visit(file);
  return [...found].map(([start, text]) => ({ start, text })).sort((a, b) => a.start - b.start);
}
