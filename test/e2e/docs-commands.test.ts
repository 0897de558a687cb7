/**
 * Runs each command of the docs once, in the order of the pages, in one project whose training takes a second. Commands that are
 * not run are listed with the reason; test/unit/docs-commands.test.ts parses them against the program.
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

const unique = new Map(
  pages
    .flatMap((page) => commandsOf(page).filter(({ program }) => program === 'lockstep'))
    .map((command) => [command.words.join(' '), command] as const)
    .reverse(),
);
const commands = [...unique].reverse();
const skipReason = (line: string): string | undefined => notRun.find(([pattern]) => pattern.test(line))?.[1];

/** Commands with a short training; with WebAssembly their processes start sooner. */
const env = { LOCKSTEP_ENGINE: 'wasm' };

let project: string;
beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), 'lockstep-docs-'));
  const options = { cwd: project, env };
  expect((await lockstep(['init'], options)).status).toBe(0);
  await writeSmallTraining(project);
  const train = ['train', '--max-steps', '4', '--out'];
  for (const run of ['runs/first', 'runs/second'])
    expect((await lockstep([...train, run], options)).status).toBe(0);
  const torch = ['--format', 'safetensors', '--layout', 'pytorch', '--out', 'pytorch.safetensors'];
  expect((await lockstep(['export', 'runs/first', ...torch], options)).status).toBe(0);
});
afterAll(() => rm(project, { recursive: true, force: true }));

describe('the commands in the docs', () => {
  it('are all found, and every exception to their execution is used', () => {
    expect(commands.length).toBeGreaterThan(30);
    for (const [pattern] of notRun) expect(commands.some(([line]) => pattern.test(line))).toBe(true);
  });

  it.for(commands.filter(([line]) => skipReason(line) === undefined))(
    'lockstep %s',
    async ([line, { words }]) => {
      const args = words.map(filled);
      const serving = servers.find(([pattern]) => pattern.test(line))?.[1];
      if (serving === undefined) {
        const { status, stdout, stderr } = await lockstep(args, { cwd: project, env });
        expect(status, `${stdout.slice(-2000)}${stderr.slice(-2000)}`).toBe(0);
        return;
      }
      const command = new Lockstep(args, { cwd: project, env });
      const url = await eventually('the address', () => serving.exec(command.stdout)?.[1]);
      expect((await fetch(url)).status).toBe(200);
      command.kill('SIGINT');
      expect((await command.ended).status).toBe(0);
    },
  );
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
