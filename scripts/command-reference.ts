/** docs/commands.md, from the tree of commands: every command with its arguments and options. `npm run docs` writes it; a test compares. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Command, Option } from 'commander';
import { buildProgram } from '../src/cli/program.js';

/** Options that many commands share are written out once. */
const worthLinking = 10;

/** Every command that does something, with the words that call it. */
function leaves(command: Command, path: readonly string[]): (readonly [string, Command])[] {
  if (command.commands.length === 0) return [[path.join(' '), command]];
  return command.commands.flatMap((inner) => leaves(inner, [...path, inner.name()]));
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll(/[<>]/g, (mark) => `\\${mark}`);
const code = (text: string): string => `\`${text.replaceAll('|', '\\|')}\``;
const shown = (value: unknown): string =>
  value === undefined ? '' : code(typeof value === 'string' ? value : JSON.stringify(value));

const sameOption = (a: Option, b: Option): boolean =>
  a.flags === b.flags && a.description === b.description && a.defaultValue === b.defaultValue;

function optionsOf(command: Command): readonly Option[] {
  return command
    .createHelp()
    .visibleOptions(command)
    .filter((option) => option.long !== '--help');
}

/** What the help has after its options. */
function examplesOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (part) => (text += part) });
  command.configureHelp({ formatHelp: () => '' });
  command.outputHelp();
  return text.trim();
}

function section(
  path: string,
  command: Command,
  before: readonly (readonly [string, Command])[],
): readonly string[] {
  const options = optionsOf(command);
  const [shared, sharedBy] = mostShared(options, before);
  const own = options.filter((option) => !shared.includes(option));
  const parameters = [
    ...command.registeredArguments.map((argument) => {
      const name = `${argument.name()}${argument.variadic ? '...' : ''}`;
      const flags = argument.required ? `<${name}>` : `[${name}]`;
      return `| ${code(flags)} | ${shown(argument.defaultValue)} | ${cell(argument.description)}${choices(argument.argChoices)} |`;
    }),
    ...own.map(
      (option) =>
        `| ${code(option.flags)} | ${shown(option.defaultValue)} | ${cell(option.description)}${choices(option.argChoices)} |`,
    ),
  ];
  const description = command.description();
  const usage = `lockstep ${path} ${command.usage()}`;
  const link = sharedBy === undefined ? [] : [sharedWords(sharedBy, shared, before)];
  const examples = examplesOf(command).replace(/^Examples:\n/, '');
  return [
    `## lockstep ${path}`,
    `${description.charAt(0).toUpperCase()}${description.slice(1)}.`,
    ['```', usage, '```'].join('\n'),
    ...link,
    ...(parameters.length === 0
      ? []
      : [['| | default | |', '| --- | --- | --- |', ...parameters].join('\n')]),
    ...(examples === '' ? [] : [['```', examples.replaceAll(/^ {2}/gm, ''), '```'].join('\n')]),
  ];
}

const choices = (values: readonly string[] | undefined): string =>
  values === undefined ? '' : ` (${values.map(code).join(', ')})`;

/** The options that a command before has in the same words, if they are many. */
function mostShared(
  options: readonly Option[],
  before: readonly (readonly [string, Command])[],
): readonly [shared: readonly Option[], by: string | undefined] {
  for (const [path, command] of before) {
    const others = optionsOf(command);
    const shared = options.filter((option) => others.some((other) => sameOption(option, other)));
    if (shared.length >= worthLinking) return [shared, path];
  }
  return [[], undefined];
}

function sharedWords(
  path: string,
  shared: readonly Option[],
  before: readonly (readonly [string, Command])[],
): string {
  const all = before.find(([name]) => name === path)?.[1];
  const missing = (all ? optionsOf(all) : []).filter(
    (option) => !shared.some((other) => sameOption(option, other)),
  );
  const but = missing.length === 0 ? '' : ` but ${missing.map(({ long }) => code(long ?? '')).join(', ')}`;
  return `The options of [lockstep ${path}](#lockstep-${path.replaceAll(' ', '-')})${but}, and:`;
}

export function commandReference(): string {
  const all = leaves(
    buildProgram(() => undefined),
    [],
  );
  const sections = all.flatMap(([path, command], i) => section(path, command, all.slice(0, i)));
  const parts = [
    '<!-- npm run docs -->',
    '# Commands',
    'What `lockstep COMMAND --help` says, of all commands. Options without a default that are fields of the configuration have theirs in ' +
      "[the README's table](../README.md#configuration).",
    ...sections,
  ];
  return `${parts.join('\n\n')}\n`;
}

const [, program] = process.argv;
if (program === fileURLToPath(import.meta.url))
  writeFileSync(fileURLToPath(new URL('../docs/commands.md', import.meta.url)), commandReference());
