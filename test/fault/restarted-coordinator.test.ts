/** A coordinator that was killed and is started again by the same command, without a supervisor. */
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { LedgerEntry } from '../../src/shared/ledger/entries.js';
import type { RunEvent } from '../../src/shared/runs/run-events.js';
import { range, stepsIn, weightsOf } from '../support/elastic-run.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-port.js';
import { alive, descendants, Lockstep, lockstep, temporaryFolder, type Ended } from '../support/lockstep.js';
import { writeTinyTraining } from '../support/tiny-training.js';

const steps = 160;
/** Two steps per epoch. */
const environment = { EPOCHS: String(steps / 2), PACE: '25' };
const recipe = ['--engine', 'wasm', '--shards', '4', '--threads', '1', '--evaluate', 'none', '--json'];
const killedAt = 30;

async function linesOf<T>(file: string): Promise<T[]> {
  const text = await readFile(file, 'utf8');
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as T);
}

const logOf = (out: string): Promise<RunEvent[]> => linesOf<RunEvent>(join(out, 'events.ndjson'));

/** The hash of the weights of one undisturbed process. */
async function undisturbed(config: string): Promise<string> {
  const out = await temporaryFolder();
  const args = ['train', '--config', config, ...recipe, '--single-process', '--out', join(out, 'run')];
  return weightsOf(await lockstep(args, { env: { ...environment, PACE: '0' } }));
}

interface Run {
  readonly config: string;
  readonly out: string;
  readonly address: string;
  /** Starts the command of the coordinator, always the same one. */
  readonly coordinator: () => Lockstep;
  readonly worker: (address?: string) => Lockstep;
}

async function prepare({
  checkpointEvery = 'null',
  listen,
  options = [],
}: {
  readonly checkpointEvery?: string;
  readonly listen?: string;
  readonly options?: readonly string[];
}): Promise<Run> {
  const folder = await temporaryFolder();
  const config = await writeTinyTraining(folder, `checkpointEvery: ${checkpointEvery},`);
  const out = join(folder, 'run');
  const address = listen ?? `tcp://127.0.0.1:${await freePort()}`;
  const start = (args: readonly string[]): Lockstep => new Lockstep(args, { env: environment });
  const all = ['--config', config, '--out', out, '--workers', '2', ...recipe, ...options];
  return {
    config,
    out,
    address,
    coordinator: () => start(['coordinator', '--listen', address, ...all]),
    worker: (at = address) => start(['worker', '--coordinator', at, '--config', config]),
  };
}

const atStep = (coordinator: Lockstep, step: number): Promise<RunEvent> =>
  coordinator.event('step', (event) => event.step >= step);

async function killed(...commands: readonly Lockstep[]): Promise<void> {
  for (const command of commands) command.kill('SIGKILL');
  await Promise.all(commands.map(({ ended }) => ended));
}

/** Starts the same command and two new workers, and waits for the end of the run. */
async function runAgain(run: Run): Promise<Ended> {
  const coordinator = run.coordinator();
  const fresh = [run.worker(), run.worker()];
  const end = await coordinator.ended;
  weightsOf(end);
  for (const { ended } of fresh) expect(await ended).toMatchObject({ status: 0 });
  return end;
}

const endpointOf = async (out: string): Promise<string> =>
  (JSON.parse(await readFile(join(out, 'coordinator.json'), 'utf8')) as { endpoint: string }).endpoint;

const takeovers = (events: readonly RunEvent[]): readonly RunEvent[] =>
  events.filter((event) => event.event === 'warning' && event.message.startsWith('Takes over run'));

/** The keys of the ledger's entries about a shard or a worker. */
const keysOf = (entries: readonly LedgerEntry[]): string[] =>
  entries.flatMap((entry) =>
    entry.type === 'parameters'
      ? []
      : [`${entry.type} ${entry.step} ${entry.type === 'shard' ? entry.shard : entry.rank}`],
  );

describe('a coordinator that is killed and started again by hand', () => {
  it('loses no step if its workers live, and nothing of its files is truncated', async () => {
    const trace = join(await temporaryFolder(), 'trace.json');
    const run = await prepare({ options: ['--audit', '--trace', trace] });
    const first = run.coordinator();
    const workers = [run.worker(), run.worker()];
    await atStep(first, killedAt);
    await killed(first);
    const files = ['events.ndjson', 'ledger.ndjson'].map((name) => join(run.out, name));
    const before = await Promise.all([...files, trace].map((file) => readFile(file, 'utf8')));

    // Two successors at once: the lease lets one of them lead.
    const successors = [run.coordinator(), run.coordinator()];
    const refused = await Promise.race(successors.map(({ ended }) => ended));
    expect(refused.status, refused.stderr).toBe(2);
    expect(refused.stderr).toMatch(/Run .* is led by pid \d+ on .* already/);
    const ends = await Promise.all(successors.map(({ ended }) => ended));
    const weights = weightsOf(ends.find((end) => end.status !== 2) ?? refused);
    for (const { ended } of workers) expect(await ended).toMatchObject({ status: 0 });

    expect(weights).toBe(await undisturbed(run.config));
    const log = await logOf(run.out);
    expect(stepsIn(log)).toEqual(range(1, steps));
    expect(log.filter(({ event }) => event === 'run')).toHaveLength(1);
    expect(takeovers(log)).toHaveLength(1);
    expect(log.filter(({ event }) => event === 'resumed')).toEqual([]);
    const after = await Promise.all([...files, trace].map((file) => readFile(file, 'utf8')));
    // The line that the killed process was writing is the only one that may be gone.
    for (const [i, text] of after.slice(0, 2).entries())
      expect(text.startsWith(before[i]!.slice(0, before[i]!.lastIndexOf('\n') + 1))).toBe(true);
    expect(after[2]).toBe(before[2]);
    expect(existsSync(trace.replace('.json', '.2.json'))).toBe(true);
    const entries = await linesOf<LedgerEntry>(join(run.out, 'ledger.ndjson'));
    const keys = keysOf(entries);
    expect(keys.filter((key, i) => keys.indexOf(key) !== i)).toEqual([]);
    const audited = entries.flatMap((entry) => (entry.type === 'weights' ? [entry.step] : []));
    expect([...new Set(audited)].sort((a, b) => a - b)).toEqual(range(1, steps));
    // A worker that aborts a step that the other one has committed receives the state, and has no entries of that step.
    expect(keys.filter((key) => key.startsWith('shard')).length).toBeGreaterThanOrEqual(4 * steps - 2);
  });

  it('binds the port again that the system has chosen, so that its workers find it', async () => {
    const run = await prepare({ listen: 'tcp://127.0.0.1:*' });
    const first = run.coordinator();
    await first.event('run');
    const endpoint = await endpointOf(run.out);
    const workers = [run.worker(endpoint), run.worker(endpoint)];
    await atStep(first, killedAt);
    await killed(first, workers[0]!);
    const second = run.coordinator();
    const weights = weightsOf(await second.ended);
    expect(await endpointOf(run.out)).toBe(endpoint);
    expect(await workers[1]!.ended).toMatchObject({ status: 0 });
    const log = await logOf(run.out);
    expect(takeovers(log)).toHaveLength(1);
    expect(stepsIn(log)).toEqual(range(1, steps));
    expect(weights).toBe(await undisturbed(run.config));
  });

  it('continues from the newest checkpoint if its workers are gone', async () => {
    const folder = join(await temporaryFolder(), 'private');
    await mkdir(folder, { mode: 0o700 });
    const run = await prepare({
      checkpointEvery: "'10steps'",
      listen: `ipc://${join(folder, 'coordinator')}`,
    });
    const first = run.coordinator();
    const workers = [run.worker(), run.worker()];
    await first.event('checkpoint', ({ step }) => step >= killedAt);
    await killed(first, ...workers);
    const before = await readFile(join(run.out, 'events.ndjson'), 'utf8');
    const end = await runAgain(run);
    expect(end.stderr).toMatch(
      /Run \S+ is not taken over: its workers have ended; it continues from .*step-/,
    );
    const [resumed] = end.events.filter((event) => event.event === 'resumed');
    expect(resumed?.step).toBeGreaterThanOrEqual(killedAt);
    expect(stepsIn(end.events)).toEqual(range(resumed!.step + 1, steps));
    const after = await readFile(join(run.out, 'events.ndjson'), 'utf8');
    expect(after.startsWith(before.slice(0, before.lastIndexOf('\n') + 1))).toBe(true);
    expect(weightsOf(end)).toBe(await undisturbed(run.config));
  });

  it('starts at step 1 beside the earlier log if its workers are gone and there is no checkpoint', async () => {
    const run = await prepare({});
    const first = run.coordinator();
    const workers = [run.worker(), run.worker()];
    await atStep(first, killedAt);
    await killed(first, ...workers);
    const before = await readFile(join(run.out, 'events.ndjson'), 'utf8');
    const end = await runAgain(run);
    expect(end.stderr).toMatch(/is not taken over: its workers have ended; training starts at step 1/);
    expect(await readFile(join(`${run.out}.1`, 'events.ndjson'), 'utf8')).toBe(before);
    expect(stepsIn(await logOf(run.out))).toEqual(range(1, steps));
    expect(weightsOf(end)).toBe(await undisturbed(run.config));
  });

  it('is replaced with its launcher, if a worker that was started by hand lives', async () => {
    const run = await prepare({});
    const sockets = await temporaryFolder();
    // The training of one worker must not end before the other one has loaded.
    const start = (args: readonly string[]): Lockstep =>
      new Lockstep(args, { env: { ...environment, PACE: '100', TMPDIR: sockets } });
    const command = ['train', '--config', run.config, '--out', run.out, '--workers', '1', ...recipe];
    const first = start(command);
    await first.event('run');
    const worker = run.worker(await endpointOf(run.out));
    // Both may be in the first generation, or the second one joins later.
    await first.event('worker', ({ state, rank }) => state === 'joined' && rank === 1);
    await atStep(first, killedAt);
    const children = await descendants(first.pid);
    const coordinator = await first.event('coordinator');
    process.kill(coordinator.pid, 'SIGKILL');
    await killed(first);
    // The worker of the launcher ends with it; the successor does not take it over even if it is still alive.
    const second = start(command);
    const end = await second.ended;
    const weights = weightsOf(end);
    expect(await worker.ended).toMatchObject({ status: 0 });
    await eventually('the orphans to end', async () => (await alive(children)).length === 0);
    const log = await logOf(run.out);
    expect(takeovers(log)).toHaveLength(1);
    expect(stepsIn(log)).toEqual(range(1, steps));
    expect(weights).toBe(await undisturbed(run.config));
  });
});
