/**
 * Measures the recovery of a run with 100 million parameters, whose training state is 1.2 GB, on two workers: `npm run bench:large-state
 * -- [kills]`. Requires Linux and a C compiler, because memory is read from /proc and the disk is slowed by a library. Needs 12 GB of
 * memory and 6 GB in the temporary directory. Every part must end with the weights of the undisturbed run.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { descendants, holdings } from '../src/chaos/processes.js';
import { median } from '../src/shared/arithmetic/quantile.js';
import { findCheckpoint } from '../src/shared/checkpoint/read-checkpoint.js';
import type { TimedEvent } from '../src/shared/runs/run-events.js';
import { slowDisk } from '../test/support/slow-disk.js';
import { machineLine } from './measure.js';

const [kills = 20] = process.argv.slice(2).map(Number);
/** Enough for a replacement to load while the other worker trains. */
const steps = 32;
/** A checkpoint takes 24 s at this speed. */
const slowMbPerS = 50;
const root = mkdtempSync(path.join(os.tmpdir(), 'lockstep-large-'));

class Run {
  readonly out: string;
  readonly #process: ChildProcess;
  readonly events: TimedEvent[] = [];
  readonly ended: Promise<number | null>;
  #changed: () => void = () => undefined;
  /** Peak resident memory of a worker since the last `resetPeak`, in MB. */
  peakMb = 0;

  constructor(out: string, env: Record<string, string>, ...options: readonly string[]) {
    this.out = path.join(root, out);
    const args = [
      'dist/cli/main.js',
      'train',
      '--config',
      'examples/large/lockstep.config.ts',
      '--out',
      this.out,
      '--json',
    ];
    args.push('--workers', '2', '--shards', '2', '--threads', '1', '--evaluate', 'none', '--epochs', '1');
    args.push('--max-steps', String(steps), ...options);
    this.#process = spawn(process.execPath, args, {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const sampler = setInterval(() => {
      for (const pid of this.workers) this.peakMb = Math.max(this.peakMb, holdings(pid)?.residentMb ?? 0);
    }, 50);
    const { stdout } = this.#process;
    if (stdout)
      createInterface({ input: stdout }).on('line', (line) => {
        this.events.push(JSON.parse(line) as TimedEvent);
        this.#changed();
      });
    this.ended = new Promise((resolve) => {
      this.#process.once('close', (status) => {
        clearInterval(sampler);
        resolve(status);
        this.#changed();
      });
    });
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  get workers(): number[] {
    return this.events.flatMap((event) =>
      event.event === 'worker' && event.state === 'joined' ? [event.pid] : [],
    );
  }

  get weights(): string {
    const last = this.events.at(-1);
    return last?.event === 'done' ? last.weightsSha256 : `none: ${JSON.stringify(last)}`;
  }

  /** Resolves with the first event that fits, among those from `from` on. */
  async event(fits: (event: TimedEvent) => boolean, from = 0): Promise<TimedEvent> {
    for (;;) {
      const found = this.events.slice(from).find(fits);
      if (found) return found;
      if (this.#process.exitCode !== null || this.#process.signalCode !== null)
        throw new Error(`The run ended early: ${JSON.stringify(this.events.at(-1))}`);
      await new Promise<void>((resolve) => (this.#changed = resolve));
    }
  }

  step(number: number): Promise<TimedEvent> {
    return this.event((event) => event.event === 'step' && event.step >= number);
  }

  async killAll(): Promise<void> {
    for (const pid of [this.pid, ...descendants(this.pid)]) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Ended already.
      }
    }
    await this.ended;
  }

  stop(): void {
    this.#process.kill('SIGTERM');
  }
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;
const resident = (pids: readonly number[]): string =>
  pids.map((pid) => `${(holdings(pid)?.residentMb ?? 0).toFixed(0)} MB`).join(', ');

function check(run: Run, expected: string, what: string): void {
  if (run.weights !== expected) throw new Error(`${what}: weights ${run.weights} instead of ${expected}`);
  console.log(`${what}: weights of the undisturbed run`);
}

async function undisturbed(): Promise<string> {
  const run = new Run('undisturbed', {}, '--checkpoint-every', '8steps');
  await run.step(7);
  console.log(
    `memory of the workers after 7 steps: ${resident(run.workers)}, peak ${run.peakMb.toFixed(0)} MB`,
  );
  run.peakMb = 0;
  const written = await run.event((event) => event.event === 'checkpoint');
  console.log(`memory in a save: peak ${run.peakMb.toFixed(0)} MB`);
  await run.ended;
  const times = run.events.flatMap((event) => (event.event === 'step' ? [event.seconds] : []));
  console.log(`step: median ${median(times).toFixed(2)} s, maximum ${Math.max(...times).toFixed(2)} s`);
  if (written.event === 'checkpoint') console.log(`checkpoint: ${written.seconds?.toFixed(2) ?? '?'} s`);
  return run.weights;
}

/** Kills one of two workers. The other one continues, and the replacement receives the state. */
async function killedWorker(expected: string, index: number, ...options: readonly string[]): Promise<void> {
  const run = new Run(`killed-${options.length}-${index}`, {}, '--checkpoint-every', '1000steps', ...options);
  await run.step(5);
  const [pid = 0] = run.workers.slice(index);
  const from = run.events.length;
  const killedMs = Date.now();
  process.kill(pid, 'SIGKILL');
  const alone = await run.event(({ event }) => event === 'generation', from);
  const next = await run.event(({ event, timeMs }) => event === 'step' && timeMs >= alone.timeMs, from);
  run.peakMb = 0;
  const after = run.events.length;
  const joined = await run.event(({ event }) => event === 'generation', after);
  const stopped = run.events.findLast(({ event, timeMs }) => event === 'step' && timeMs <= joined.timeMs);
  const first = await run.event(({ event, timeMs }) => event === 'step' && timeMs >= joined.timeMs, after);
  const stepMs = first.event === 'step' ? first.seconds * 1000 : 0;
  const joinMs = first.timeMs - (stopped?.timeMs ?? 0) - stepMs;
  console.log(
    `worker ${index} killed ${options.join(' ')}: next step after ${seconds(next.timeMs - killedMs)}; the join of its replacement, with ` +
      `1.2 GB of state, costs ${seconds(joinMs)}; peak memory in it ${run.peakMb.toFixed(0)} MB`,
  );
  await run.ended;
  check(run, expected, 'a killed worker');
}

const drafts = (out: string): string[] => {
  try {
    return readdirSync(path.join(out, 'checkpoints')).filter((name) => name.includes('.partial-'));
  } catch {
    return [];
  }
};

async function killsWhileSaving(expected: string, env: Record<string, string>): Promise<void> {
  // The first run has a checkpoint before the kills begin.
  const first = new Run('saving', {}, '--checkpoint-every', '2steps');
  await first.event(({ event }) => event === 'checkpoint');
  await first.killAll();
  let survived = 0;
  for (let kill = 0; kill < kills; kill++) {
    const run = new Run('saving', env, '--checkpoint-every', '1steps');
    const before = await findCheckpoint(run.out);
    while (drafts(run.out).length === 0) await pause(50);
    // Spread over the 24 s of the save, from its first piece to its last one.
    await pause((20_000 * (kill + 0.5)) / kills);
    await run.killAll();
    const { path: newest, skipped } = await findCheckpoint(run.out);
    if (newest === before.path && skipped.length === 0) survived++;
    else console.log(`kill ${kill}: ${newest} instead of ${before.path}; ${skipped.join()}`);
  }
  console.log(`${kills} kills while saving: the older checkpoint survived ${survived} times`);
  const last = new Run('saving', {}, '--checkpoint-every', '1000steps');
  await last.ended;
  check(last, expected, 'after the kills while saving');
}

async function cutStop(expected: string, env: Record<string, string>): Promise<void> {
  const first = new Run('cut', {}, '--checkpoint-every', '2steps');
  await first.event(({ event }) => event === 'checkpoint');
  await first.killAll();
  const second = new Run('cut', env, '--checkpoint-every', '1000steps');
  await second.event(({ event }) => event === 'step');
  second.stop();
  await pause(2_000);
  const unfinished = drafts(second.out).length;
  await second.killAll();
  const third = new Run('cut', {}, '--checkpoint-every', '1000steps');
  await third.event(({ event }) => event === 'step');
  console.log(
    `SIGKILL 2 s after SIGTERM: ${unfinished} unfinished checkpoint, ${drafts(third.out).length} after the start`,
  );
  await third.ended;
  check(third, expected, 'after a stop that was cut off');
}

try {
  console.log(machineLine());
  const slow = slowDisk(root, slowMbPerS);
  const expected = await undisturbed();
  for (const index of [0, 1]) await killedWorker(expected, index);
  await killedWorker(expected, 1, '--shared-memory', 'off');
  await cutStop(expected, slow);
  await killsWhileSaving(expected, slow);
} finally {
  rmSync(root, { recursive: true, force: true });
}
