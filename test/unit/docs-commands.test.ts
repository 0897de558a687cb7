/** Every `lockstep` command in the docs is one that the program takes: command, options and number of arguments. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { expect, it } from 'vitest';
import { buildProgram } from '../../src/cli/program.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const pages = [
  ...['README.md', 'CONTRIBUTING.md', 'examples/browser/README.md'],
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

/** In fenced blocks of shell, without variables before it and comments after it. */
function commandsOf(page: string): string[][] {
  const blocks = readFileSync(join(root, page), 'utf8').matchAll(/^```sh\n([^]*?)^```/gm);
  return [...blocks]
    .flatMap(([, block = '']) => block.split('\n'))
    .map((line) => /^(?:[A-Z_]+=\S+ )*(?:npx )?lockstep ([^#]*)/.exec(line)?.[1])
    .filter((command) => command !== undefined)
    .map((command) => command.trim().split(/\s+/));
}

function silent(command: Command): void {
  command.configureOutput({ writeErr: () => undefined });
  command.commands.forEach(silent);
}

const found = pages.flatMap((page) =>
  commandsOf(page).map((words) => [page, words.join(' '), words] as const),
);

it('finds the commands in the docs', () => {
  expect(found.length).toBeGreaterThan(15);
});

it.each(found)('%s: lockstep %s', (_, __, words) => {
  let called = 0;
  const program = buildProgram(() => called++);
  silent(program);
  program.parse(words, { from: 'user' });
  expect(called).toBe(1);
});
