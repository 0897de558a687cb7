/** The commands that the docs tell people to type: the lines of their fenced blocks of shell. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../', import.meta.url));

/** Every page that is written for people, in the order of the repository. */
export const pages: readonly string[] = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .sort()
    .map((name) => `docs/${name}`),
  ...readdirSync(join(root, 'examples'))
    .map((name) => `examples/${name}/README.md`)
    .filter((page) => readdirSync(join(root, page, '..')).includes('README.md')),
];

export interface DocsCommand {
  readonly page: string;
  /** `lockstep`, or a word of npm's: `start`, `test`, `run`. */
  readonly program: 'lockstep' | 'npm';
  /** The arguments after it. */
  readonly words: readonly string[];
}

const command = /^(?:\$ )?(?:[A-Z_]+=\S+ )*(?:npx )?(lockstep|npm(?= (?:run|start|test)\b))(?: ([^#]*))?/;

/** The text of each fenced block of shell. */
export function shellBlocks(page: string): readonly string[] {
  const text = readFileSync(join(root, page), 'utf8');
  return [...text.matchAll(/^```(?:sh|console)\n([^]*?)^```/gm)].map(([, block = '']) => block);
}

/** Removes variables before a command and the comment after it. */
export function commandsOf(page: string): readonly DocsCommand[] {
  return shellBlocks(page)
    .flatMap((block) => block.split('\n'))
    .flatMap((line) => {
      const [, program, rest = ''] = command.exec(line) ?? [];
      return program === 'lockstep' || program === 'npm' ? [{ page, program, words: words(rest) }] : [];
    });
}

/** Splits like a shell, as far as quotes are concerned. */
function words(text: string): string[] {
  return [...text.matchAll(/(?:[^\s"']|"[^"]*"|'[^']*')+/g)].map(([word]) => word.replace(/["']/g, ''));
}
