import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, readdir, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import crc32c from 'crc-32/crc32c.js';
import { describe, expect, it } from 'vitest';
import { messageType } from '../../src/shared/files/protobuf.js';
import { failingDisk } from '../support/failing-disk.js';
import { eventually } from '../support/eventually.js';
import { Lockstep, lockstep, temporaryFolder } from '../support/lockstep.js';
import { tinyOptions, writeTinyTraining } from '../support/tiny-training.js';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

const steps = 200;
const slow = { EPOCHS: '100', PACE: '40' };
const common = [
  '--engine',
  'wasm',
  '--shards',
  '4',
  '--threads',
  '1',
  '--workers',
  '2',
  '--evaluate',
  'none',
];

interface Line {
  readonly event?: string;
  readonly type?: string;
  readonly step?: number;
}

/** Reads a log and asserts that each incomplete line is followed by a gap. Returns the complete lines. */
async function linesOf(file: string): Promise<Line[]> {
  const text = await readFile(file, 'utf8');
  expect(text.endsWith('\n')).toBe(true);
  const lines = text.slice(0, -1).split('\n').map(parse);
  for (const [i, line] of lines.entries())
    if (line === undefined) expect([lines[i + 1]?.event, lines[i + 1]?.type]).toContain('gap');
  return lines.filter((line) => line !== undefined);
}

function parse(line: string): Line | undefined {
  try {
    return JSON.parse(line) as Line;
  } catch {
    return undefined;
  }
}

const stepsOf = (lines: readonly Line[]): number[] =>
  lines.flatMap(({ event, step }) => (event === 'step' && step !== undefined ? [step] : []));

const upTo = (last: number): number[] => Array.from({ length: last }, (_, i) => i + 1);

/** The steps of TensorBoard's events, ascending. The checksum of each frame must be right. */
async function tensorboardSteps(run: string): Promise<number[]> {
  const folder = join(run, 'tensorboard');
  // The hyperparameters have a file of their own.
  const name = (await readdir(folder)).find((file) => !file.endsWith('.hparams')) ?? '';
  const bytes = await readFile(join(folder, name));
  const type = messageType('event.proto', 'tensorflow.Event');
  const found: number[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = Number(bytes.readBigUInt64LE(at));
    const payload = bytes.subarray(at + 12, at + 12 + length);
    const checksum = crc32c.buf(payload) >>> 0;
    const masked = (((checksum >>> 15) | (checksum << 17)) + 0xa282ead8) >>> 0;
    expect(bytes.readUInt32LE(at + 12 + length)).toBe(masked);
    const { step, summary } = type.toObject(type.decode(payload), { longs: Number }) as {
      step?: number;
      summary?: unknown;
    };
    if (summary !== undefined) found.push(step ?? 0);
    at += 16 + length;
  }
  // An evaluation may end before or after the next step.
  return found.sort((a, b) => a - b);
}

async function outcomeOf(run: string): Promise<string> {
  const { stdout } = await lockstep(['runs', run, '--json']);
  return (JSON.parse(stdout) as { outcome: string }[])[0]?.outcome ?? '';
}

async function diffOf(a: string, b: string): Promise<unknown> {
  const { stdout, stderr } = await lockstep(['diff', a, b, '--json']);
  expect(stderr).toBe('');
  return JSON.parse(stdout);
}

describe('a disk that fails for three seconds', () => {
  it('stops no log: each has all steps, with one warning per file and outage', async () => {
    const folder = await temporaryFolder();
    const config = await writeTinyTraining(folder);
    const [quiet, run] = [join(folder, 'quiet'), join(folder, 'run')];
    const args = (out: string): string[] =>
      ['train', '--config', config, '--out', out, '--json', '--audit', '--tensorboard'].concat(
        ['--trace', join(out, 'trace.json')],
        common,
      );
    const undisturbed = await lockstep(args(quiet), { cwd: folder, env: { EPOCHS: '100' } });
    expect(undisturbed.status, undisturbed.stderr).toBe(0);

    const disk = await failingDisk(folder, run);
    const training = new Lockstep(args(run), { cwd: folder, env: { ...slow, ...disk.env } });
    await training.event('step', ({ step }) => step >= 10);
    await disk.fail();
    const warnings = (): string[] =>
      training.events.flatMap((event) => (event.event === 'warning' ? [event.message] : []));
    const files = ['Event log', 'Ledger', "TensorBoard's event file", 'Trace'];
    for (const file of files)
      await eventually(`the outage of ${file}`, () =>
        warnings().some((message) => message.startsWith(`${file} `) && message.includes('(EIO)')),
      );
    // Time passes in the training, whose events have times.
    const { timeMs: failedMs } = training.events.at(-1) as unknown as { timeMs: number };
    await training.event(
      'step',
      (event) => (event as unknown as { timeMs: number }).timeMs > failedMs + 3_000,
    );
    expect(training.events.some(({ event }) => event === 'done')).toBe(false);
    await disk.recover();
    const { status, stderr, events } = await training.ended;
    expect(status, stderr).toBe(0);

    const done = (all: typeof events): unknown => all.find(({ event }) => event === 'done');
    expect(done(events)).toMatchObject({
      weightsSha256: (done(undisturbed.events) as { weightsSha256: string }).weightsSha256,
    });
    for (const file of files) {
      // After the last event of the run, a warning is only printed.
      const printed = stderr.split('\n').map((line) => line.replace(/^Warning: /, ''));
      const about = [...warnings(), ...printed].filter((message) => message.startsWith(`${file} `));
      expect(about).toEqual([
        expect.stringContaining("can't be written (EIO). Training continues"),
        expect.stringMatching(/is written again after \d\.\d s; nothing was lost\.$/),
      ]);
    }
    const log = await linesOf(join(run, 'events.ndjson'));
    expect(stepsOf(log)).toEqual(upTo(steps));
    expect(log.at(-1)?.event).toBe('done');
    expect(log.filter(({ event }) => event === 'gap')).toMatchObject([{ lines: 0 }]);
    expect((await linesOf(join(run, 'ledger.ndjson'))).filter(({ type }) => type === 'gap')).toMatchObject([
      { entries: 0 },
    ]);
    expect(await tensorboardSteps(run)).toEqual(await tensorboardSteps(quiet));
    expect(new Set(await tensorboardSteps(run))).toEqual(new Set(upTo(steps)));
    expect(JSON.parse(await readFile(join(run, 'trace.json'), 'utf8'))).not.toHaveLength(0);
    expect(await outcomeOf(run)).toBe('done');
    expect(await diffOf(quiet, run)).toMatchObject({ steps, missing: 0, difference: null });
  });
});

describe('a disk that fails at the end of a run', () => {
  const single = ['train', '--out', 'run', ...tinyOptions];

  it('receives the last event when it works again', async () => {
    const folder = await temporaryFolder();
    await writeTinyTraining(folder);
    const file = join(folder, 'run', 'events.ndjson');
    const disk = await failingDisk(folder, file);
    const training = new Lockstep(single, { cwd: folder, env: { PACE: '50', ...disk.env } });
    await training.event('step', ({ step }) => step === 3);
    await disk.fail();
    await training.event('done');
    await eventually('an attempt that fails', () => training.stdout.includes('(EIO)'));
    await disk.recover();
    const { status, stderr } = await training.ended;
    expect(status, stderr).toBe(0);
    // After the last event, a message is only printed.
    expect(stderr).toMatch(/Warning: Event log .* is written again after/);
    const log = await linesOf(file);
    expect(stepsOf(log)).toEqual(upTo(8));
    expect(log.at(-1)?.event).toBe('done');
  });

  it('delays the end by a bounded time, and what is missing is reported', async () => {
    const folder = await temporaryFolder();
    await writeTinyTraining(folder);
    const disk = await failingDisk(folder, join(folder, 'run', 'events.ndjson'));
    const training = new Lockstep(single, { cwd: folder, env: { PACE: '50', ...disk.env } });
    await training.event('step', ({ step }) => step === 3);
    await disk.fail();
    const { status, stderr } = await training.ended;
    expect(status, stderr).toBe(0);
    expect(stderr).toMatch(/Warning: Event log .* lacks its last \d+ records/);
  });
});

describe('a full disk behind stdout', () => {
  it('leaves a gap in the events that are printed, and stops neither them nor the run', async () => {
    const folder = await temporaryFolder();
    await writeTinyTraining(folder);
    const printed = join(folder, 'printed.ndjson');
    const disk = await failingDisk(folder, printed);
    const line = ['exec', 'node', main, 'train', '--out', 'run', ...tinyOptions, '>', printed].join(' ');
    const env = { ...process.env, ...disk.env, PACE: '100' };
    const shell = spawn('bash', ['-c', line], { cwd: folder, env, stdio: 'ignore' });
    const ended = once(shell, 'exit');
    const log = join(folder, 'run', 'events.ndjson');
    const read = (): Promise<string> => readFile(log, 'utf8').catch(() => '');
    await eventually('step 2', async () => (await read()).includes('"step":2,'));
    await disk.fail();
    await eventually('step 4', async () => (await read()).includes('"step":4,'));
    await disk.recover();
    expect(await ended).toEqual([0, null]);
    const shown = await linesOf(printed);
    expect(shown.at(-1)?.event).toBe('done');
    expect(shown.filter(({ event }) => event === 'gap')).toHaveLength(1);
    expect(stepsOf(shown).length).toBeLessThan(8);
    const all = await linesOf(log);
    expect(stepsOf(all)).toEqual(upTo(8));
    expect((await read()).split("stdout can't be written (EIO)").length - 1).toBe(1);
  });
});

describe('logs that end in the middle of a line', () => {
  it('are continued on a line of their own, with a gap', async () => {
    const folder = await temporaryFolder();
    await writeTinyTraining(folder);
    const args = (out: string): string[] =>
      ['train', '--audit', '--out', join(folder, out), '--checkpoint-every', '12steps'].concat(tinyOptions);
    const env = { EPOCHS: '12' };
    expect((await lockstep(args('quiet'), { cwd: folder, env })).status).toBe(0);
    const run = join(folder, 'run');
    const killed = new Lockstep(args('run'), { cwd: folder, env: { ...env, PACE: '300' } });
    await killed.event('checkpoint', ({ step }) => step === 12);
    // The lines that are cut are of later steps, which the resumed run repeats. Entries of the ledger come in groups of eight steps.
    await killed.event('step', ({ step }) => step >= 17);
    killed.kill('SIGKILL');
    await killed.ended;
    for (const name of ['events.ndjson', 'ledger.ndjson']) {
      const text = await readFile(join(run, name), 'utf8');
      await truncate(join(run, name), Buffer.byteLength(text) - 20);
    }
    const resumed = await lockstep(args('run'), { cwd: folder, env });
    expect(resumed.status, resumed.stderr).toBe(0);
    const log = await linesOf(join(run, 'events.ndjson'));
    expect(log.filter(({ event }) => event === 'gap')).toMatchObject([{ lines: 1, fromMs: null }]);
    expect(new Set(stepsOf(log))).toEqual(new Set(upTo(24)));
    expect((await linesOf(join(run, 'ledger.ndjson'))).filter(({ type }) => type === 'gap')).toMatchObject([
      { entries: 1, fromMs: null },
    ]);
    expect(await outcomeOf(run)).toBe('done');
    expect(await diffOf(join(folder, 'quiet'), run)).toMatchObject({
      steps: 24,
      missing: 0,
      difference: null,
    });
  });
});
