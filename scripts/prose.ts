/**
 * Checks the prose of comments, option descriptions and test names: `npm run lint:prose`. Exits with status 1 if
 *
 * - more than 5 of 1000 comment lines begin a comment with a fragment,
 * - a description of a configuration field or a command-line option begins with a fragment, or
 * - a test name begins with a fragment.
 *
 * A comment line is a line of a comment that contains text; `/**`, a lone `*` and an empty `//` do not count. A comment line begins
 * a comment if it is the first one of a block or follows an empty comment line; adjacent lines of `//` alone are one block. It begins with a
 * fragment if its first word is one of those in prose/fragments.ts. The rate is the number of comment lines that begin a comment with a
 * fragment, divided by the number of all comment lines.
 *
 * A question word can also begin a complete sentence ("How far a layer may drift is bounded by ..."). The permitted rate leaves room
 * for these, so no list of exceptions is needed.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { extname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { commentLines, hasComments } from './prose/comments.js';
import { beginsWithFragment, describesAsFragment } from './prose/fragments.js';
import { descriptions, testNames } from './prose/names.js';

const folders = ['src', 'native', 'test', 'web', 'bench', 'scripts', 'examples'];
const excluded = /^test\/fixtures\//;
const permittedPerThousand = 5;

const root = fileURLToPath(new URL('..', import.meta.url));

interface Finding {
  readonly where: string;
  readonly text: string;
}

function sourceFiles(): string[] {
  return folders
    .flatMap((folder) => readdirSync(join(root, folder), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && hasComments(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .filter((file) => !excluded.test(file))
    .sort();
}

const isTypeScript = (file: string): boolean => extname(file) === '.ts';
const findings = { comments: [] as Finding[], descriptions: [] as Finding[], testNames: [] as Finding[] };
let lineCount = 0;

for (const file of sourceFiles()) {
  const source = readFileSync(join(root, file), 'utf8');
  const finding = ({ line, text }: { line: number; text: string }): Finding => ({
    where: `${file}:${line}`,
    text,
  });
  const lines = commentLines(file, source);
  lineCount += lines.length;
  const fragments = lines.filter(({ begins, text }) => begins && beginsWithFragment(text));
  findings.comments.push(...fragments.map(finding));
  if (!isTypeScript(file)) continue;
  if (file.startsWith('src/'))
    findings.descriptions.push(...descriptions(source).filter(describesAsFragment).map(finding));
  if (file.startsWith('test/'))
    findings.testNames.push(...testNames(source).filter(describesAsFragment).map(finding));
}

function report(title: string, found: readonly Finding[]): void {
  console.log(`${title}: ${found.length}`);
  for (const { where, text } of found) console.log(`  ${where}: ${text}`);
}

const rate = (1000 * findings.comments.length) / lineCount;
report('Comments that begin with a fragment', findings.comments);
report('Descriptions that begin with a fragment', findings.descriptions);
report('Test names that begin with a fragment', findings.testNames);
console.log(
  `${rate.toFixed(1)} of 1000 comment lines begin with a fragment (${findings.comments.length} of ${lineCount}); ` +
    `at most ${permittedPerThousand} are permitted.`,
);
const passed =
  rate <= permittedPerThousand && findings.descriptions.length === 0 && findings.testNames.length === 0;
process.exitCode = passed ? 0 : 1;
