/**
 * Runs each command of the docs once, in a project whose training takes a second. The commands of the tutorial run in the order of the
 * page in a project without runs; those of the other pages in one that has the runs that they name. Commands that are not run are
 * listed with the reason; test/unit/docs-commands.test.ts parses them against the program.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunEvent } from '../../src/shared/runs/run-events.js';
import { commandsOf, pages, root } from '../support/docs-commands.js';
import { eventually } from '../support/eventually.js';
import { Lockstep, lockstep, temporaryFolder } from '../support/lockstep.js';
import { writeSmallTraining } from '../support/small-training.js';

const notRun: readonly (readonly [pattern: RegExp, reason: string])[] = [
  [/^(coordinator|worker) /, 'needs hosts of these addresses; test/e2e/secure.test.ts has them on one'],
  [/^train .*--devices \d/, 'needs these GPUs'],
  [/^engine install --cuda/, 'needs a GPU'],
  [/^train --engine webgpu$/, 'needs a GPU; test/e2e/webgpu.test.ts trains on a software driver'],
  [/^predict runs\/mine new\.csv$/, 'needs a run of a table; test/e2e/predict-table.test.ts has one'],
  [/^status /, 'needs a process with --health; test/unit/status-command.test.ts has one'],
  [/^chaos/, 'minutes; test/e2e/chaos.test.ts runs shorter ones'],
  [/--config examples\//, 'minutes; test/e2e/examples.test.ts trains them for some steps'],
];

/** Commands that serve a page until they are interrupted, with their first output. */
const servers: readonly (readonly [RegExp, RegExp])[] = [
  [/^demo /, /Draw a digit at (\S+)/],
  [/^dashboard/, /Dashboard: (\S+)/],
];

/** Replacements of the readers' own names. */
const filled = (word: string): string =>
  word.replace('<time>', 'first').replace(/^digit\.png$/, 'digits/seven.png');

const tutorial = 'docs/tutorial.md';

/** The commands of these pages, each once. */
const commandsIn = (chosen: readonly string[]) =>
  new Map(
    chosen
      .flatMap((page) => commandsOf(page).filter(({ program }) => program === 'lockstep'))
      .map((command) => [command.words.join(' '), command] as const),
  );
const inTutorial = [...commandsIn([tutorial])];
const others = [...commandsIn(pages.filter((page) => page !== tutorial))];
const commands = [...inTutorial, ...others];
const skipReason = (line: string): string | undefined => notRun.find(([pattern]) => pattern.test(line))?.[1];

/** Commands with a short training; with WebAssembly their processes start sooner. */
const env = { LOCKSTEP_ENGINE: 'wasm' };

const newProject = async (): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'lockstep-docs-'));
  // `init` writes no file that exists.
  await writeSmallTraining(folder);
  return folder;
};

const executed = (listed: readonly (typeof commands)[number][]) =>
  listed.filter(([line]) => skipReason(line) === undefined);

/** Runs a command of the docs, and interrupts one that serves a page as soon as the page can be opened. */
async function works(line: string, args: readonly string[], cwd: string): Promise<void> {
  const serving = servers.find(([pattern]) => pattern.test(line))?.[1];
  if (serving === undefined) {
    const { status, stdout, stderr } = await lockstep(args, { cwd, env });
    expect(status, `${stdout.slice(-2000)}${stderr.slice(-2000)}`).toBe(0);
    return;
  }
  const command = new Lockstep(args, { cwd, env });
  const url = await eventually('the address', () => serving.exec(command.stdout)?.[1]);
  expect((await fetch(url)).status).toBe(200);
  command.kill('SIGINT');
  expect((await command.ended).status).toBe(0);
}

describe('the commands in the docs', () => {
  it('are all found, and every exception to their execution is used', () => {
    expect(inTutorial.length).toBeGreaterThan(10);
    expect(others.length).toBeGreaterThan(20);
    for (const [pattern] of notRun) expect(commands.some(([line]) => pattern.test(line))).toBe(true);
  });
});

describe('the commands of the tutorial, one after the other', () => {
  let project: string;
  beforeAll(async () => {
    project = await newProject();
  });
  afterAll(() => rm(project, { recursive: true, force: true }));

  it.for(executed(inTutorial))('lockstep %s', async ([line, { words }]) => {
    await works(line, words, project);
  });
});

describe('the commands of the other pages', () => {
  let project: string;
  beforeAll(async () => {
    project = await newProject();
    const options = { cwd: project, env };
    expect((await lockstep(['init'], options)).status).toBe(0);
    for (const run of ['runs/first', 'runs/second'])
      expect((await lockstep(['train', '--max-steps', '4', '--out', run], options)).status).toBe(0);
    const torch = ['--format', 'safetensors', '--layout', 'pytorch', '--out', 'pytorch.safetensors'];
    expect((await lockstep(['export', 'runs/first', ...torch], options)).status).toBe(0);
  });
  afterAll(() => rm(project, { recursive: true, force: true }));

  it.for(executed(others))('lockstep %s', async ([line, { words }]) => {
    const args = words.map(filled);
    // Each page names the folder of a new run, and another page may have used the same name.
    if (args[0] === 'train' && args.includes('--out') && !args.includes('--resume')) args.push('--fresh');
    await works(line, args, project);
  });
});

/** Makes the data of a project of docs/own-data.md in this folder. */
const data: Readonly<Record<string, (folder: string) => Promise<void>>> = {
  pictures: async (folder) => {
    for (const [split, count] of [
      ['train', 40],
      ['test', 10],
    ] as const)
      for (const [name, colour] of [
        ['cat', '#c06020'],
        ['dog', '#204080'],
      ] as const) {
        await mkdir(join(folder, 'photos', split, name), { recursive: true });
        for (let i = 0; i < count; i++)
          await sharp({ create: { width: 40 + i, height: 50, channels: 3, background: colour } })
            .jpeg()
            .toFile(join(folder, 'photos', split, name, `${i}.jpg`));
      }
  },
  table: async (folder) => {
    const rows = Array.from({ length: 200 }, (_, i) => {
      const [area, rooms, district] = [40 + (i % 50), 1 + (i % 4), ['north', 'east', 'old'][i % 3]];
      return `${area},${rooms},${district},${area / 50 + rooms / 4}`;
    });
    await writeFile(join(folder, 'houses.csv'), ['area,rooms,district,price', ...rows, ''].join('\n'));
  },
  generator: () => Promise.resolve(),
};

describe('the projects of docs/own-data.md', async () => {
  const text = await readFile(join(root, 'docs/own-data.md'), 'utf8');
  const projects = [...text.matchAll(/<!-- run with: (\w+) -->\n\n```ts\n([^]*?)^```/gm)];

  it('are all tested', () => {
    expect(projects.map(([, name]) => name).sort()).toEqual(Object.keys(data).sort());
  });

  it.for(projects)('$1 trains, learns, and is evaluated', async ([, name = '', definition = '']) => {
    const folder = await temporaryFolder();
    await data[name]?.(folder);
    await writeFile(join(folder, 'lockstep.config.ts'), definition);
    const lines = commandsOf('docs/own-data.md').map(({ words }) => [...words]);
    const [train = [], evaluate = []] = lines;
    const trained = await lockstep([...train, '--json'], { cwd: folder });
    expect(trained.status, trained.stderr.slice(-2000)).toBe(0);
    const losses = evaluations(trained.events).filter(({ split }) => split === 'test');
    expect(losses.length).toBe(5);
    expect(losses.at(-1)!.loss).toBeLessThan(losses[0]!.loss);
    const evaluated = await lockstep([...evaluate, '--json'], { cwd: folder });
    expect(evaluations(evaluated.events)[0]?.loss).toBe(losses.at(-1)!.loss);
  });
});

const evaluations = (events: readonly RunEvent[]) =>
  events.filter((event): event is Extract<RunEvent, { event: 'eval' }> => event.event === 'eval');
