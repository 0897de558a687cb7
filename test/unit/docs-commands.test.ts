/** Every command in the docs is one that there is: of Lockstep's command, options and number of arguments; of npm's scripts, the name. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CommanderError, type Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { newManifest } from '../../src/cli/commands/init-manifest.js';
import { buildProgram } from '../../src/cli/program.js';
import { commandsOf, pages, root, type DocsCommand } from '../support/docs-commands.js';

const scriptsOf = (manifest: string): string[] =>
  Object.keys((JSON.parse(manifest) as { scripts: Readonly<Record<string, string>> }).scripts);

/** The scripts of a checkout, and those of a project of `lockstep init`. */
const scripts = [
  ...scriptsOf(readFileSync(join(root, 'package.json'), 'utf8')),
  ...scriptsOf(newManifest('/project')),
];

function silent(command: Command): void {
  command.configureOutput({ writeErr: () => undefined, writeOut: () => undefined });
  command.commands.forEach(silent);
}

/** @throws CommanderError for what Lockstep's command line does not take */
function parse(words: readonly string[]): void {
  let called = 0;
  const program = buildProgram(() => called++);
  silent(program);
  program.parse(words, { from: 'user' });
  expect(called).toBe(1);
}

function check({ program, words: [first = '', second = '', ...rest] }: DocsCommand): void {
  if (program === 'lockstep') parse([first, ...(second === '' ? [] : [second]), ...rest]);
  else {
    const name = first === 'run' ? second : first;
    expect(scripts).toContain(name);
    if (name === 'start' && second === '--') parse(['train', ...rest]);
  }
}

const found = pages.flatMap((page) =>
  commandsOf(page).map((command) => [page, command.program, command.words.join(' '), command] as const),
);

it('finds the commands in the docs', () => {
  expect(found.length).toBeGreaterThan(60);
});

it.each(found)('%s: %s %s', (_, __, ___, command) => {
  check(command);
});

describe('the check', () => {
  const refused = [
    'trian',
    'train --epoch 1',
    'eval',
    'diff runs/one',
    'export runs/one --format pdf',
    'bench',
  ];
  it.each(refused)('refuses lockstep %s', (line) => {
    expect(() => parse(line.split(' '))).toThrow(CommanderError);
  });
});

it.each(pages)('%s names existing npm scripts only', (page) => {
  const named = [...readFileSync(join(root, page), 'utf8').matchAll(/npm run (?:-s )?([\w:-]+)/g)];
  for (const [, name = ''] of named) expect(scripts).toContain(name);
});
