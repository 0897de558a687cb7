/** A run whose processes a test kills and stops, and the undisturbed run that it must equal. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { RunEvent } from '../../src/shared/runs/run-events.js';
import { Lockstep, descendants, lockstep, temporaryFolder, type Ended } from './lockstep.js';
import { writeSmallTraining } from './small-training.js';

export type GenerationEvent = Extract<RunEvent, { event: 'generation' }>;

const stepsPerEpoch = 2;
/** Steps after the resume of a run that was stopped. */
const stepsAfterResume = 20;

/** Two steps per epoch: `writeSmallTraining` has 70 samples. */
export const training = ['--shards', '6', '--threads', '1', '--batch-size', '40', '--json'];
/** More epochs than any test waits for: a run must not end before its faults have had their effect. */
export const endless = ['--epochs', '1000000'];

const eventsOf = <Name extends RunEvent['event']>(events: readonly RunEvent[], name: Name) =>
  events.filter((event): event is Extract<RunEvent, { event: Name }> => event.event === name);

export const range = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, i) => first + i);

export const stepsIn = (events: readonly RunEvent[]): number[] =>
  eventsOf(events, 'step').map(({ step }) => step);

const testedEpochs = (events: readonly RunEvent[]): number[] =>
  eventsOf(events, 'eval').flatMap(({ split, epoch }) => (split === 'test' ? [epoch] : []));

export function weightsOf({ status, stderr, events }: Ended): string {
  expect(status, stderr).toBe(0);
  return eventsOf(events, 'done')[0]?.weightsSha256 ?? 'no end';
}

/** The hash of the weights after `steps` steps of one undisturbed process. */
export async function undisturbed(steps: number): Promise<string> {
  const folder = await temporaryFolder();
  const { config } = await writeSmallTraining(folder);
  const length = [...endless, '--max-steps', String(steps), '--evaluate', 'none'];
  return weightsOf(
    await lockstep([
      'train',
      '--config',
      config,
      '--single-process',
      '--out',
      join(folder, 'run'),
      ...training,
      ...length,
    ]),
  );
}

export class ElasticRun {
  readonly launcher: Lockstep;
  readonly #config: string;
  readonly #out: string;
  readonly #sockets: string;

  constructor(config: string, out: string, sockets: string, options: readonly string[]) {
    this.#config = config;
    this.#out = out;
    this.#sockets = sockets;
    this.launcher = new Lockstep(
      ['train', '--config', config, '--out', out, ...training, ...endless, ...options],
      { env: { TMPDIR: sockets } },
    );
  }

  /** Starts a run that trains until it is stopped, unless `options` say otherwise. */
  static async start(...options: readonly string[]): Promise<ElasticRun> {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder);
    return new ElasticRun(config, join(folder, 'run'), await temporaryFolder(), options);
  }

  /** Pids of the current members by rank. */
  get members(): Map<number, number> {
    const pids = new Map<number, number>();
    for (const event of this.launcher.events) {
      if (event.event === 'worker' && event.state === 'joined') pids.set(event.rank ?? -1, event.pid);
      if (event.event !== 'generation') continue;
      pids.clear();
      for (const { rank, pid } of event.workers) pids.set(rank, pid);
    }
    return pids;
  }

  get generation(): number {
    return eventsOf(this.launcher.events, 'generation').at(-1)?.generation ?? 1;
  }

  /** The coordinator's pid; every worker must be a member. */
  async coordinator(): Promise<number> {
    const workers = [...this.members.values()];
    const others = (await descendants(this.launcher.pid)).filter((pid) => !workers.includes(pid));
    const [pid] = others;
    if (pid === undefined || others.length > 1)
      throw new Error(`Expected one process besides the workers, got ${others.length}.`);
    return pid;
  }

  async at(step: number): Promise<void> {
    await this.launcher.event('step', (event) => event.step >= step);
  }

  kill(signal: NodeJS.Signals, ...ranks: readonly number[]): number[] {
    const { members } = this;
    return ranks.map((rank) => {
      const pid = members.get(rank);
      if (pid === undefined) throw new Error(`No member has rank ${rank}.`);
      process.kill(pid, signal);
      return pid;
    });
  }

  /** Resolves with the first generation after the current one that fits. */
  async next(fits: (event: GenerationEvent) => boolean = () => true): Promise<GenerationEvent> {
    const after = this.generation;
    return this.launcher.event('generation', (event) => event.generation > after && fits(event));
  }

  /** Resolves when the run has stood still from one status event, about one per second, to the next. */
  async stall(): Promise<void> {
    const from = this.launcher.events.length;
    await this.launcher.event('status', (event) => {
      const since = eventsOf(this.launcher.events.slice(from), 'status');
      const previous = since[since.indexOf(event) - 1];
      return previous?.step === event.step;
    });
  }

  /** Waits for the end of a run of `steps` steps: none lost, none twice, nothing left behind. Returns the hash of the weights. */
  async finish(steps: number): Promise<string> {
    const ended = await this.launcher.ended;
    const weights = weightsOf(ended);
    expect(stepsIn(ended.events)).toEqual(range(1, steps));
    expect(testedEpochs(ended.events)).toEqual(range(1, steps / stepsPerEpoch));
    expect(await readdir(this.#sockets)).toEqual([]);
    return weights;
  }

  /**
   * Stops the run, resumes it for a few steps, and expects the weights of the undisturbed run: no step is lost or repeated, and
   * nothing is left behind.
   */
  async expectUndisturbed(): Promise<void> {
    this.launcher.kill('SIGINT');
    const { status, stderr, events } = await this.launcher.ended;
    expect(status, stderr).toBe(130);
    const last = eventsOf(events, 'step').at(-1)?.step ?? 0;
    const tested = testedEpochs(events);
    expect(stepsIn(events)).toEqual(range(1, last));
    expect(tested).toEqual(range(1, tested.length));
    expect(eventsOf(events, 'checkpoint').at(-1)?.step).toBe(last);

    const end = last + stepsAfterResume + (last % stepsPerEpoch);
    const resumed = await lockstep([
      'train',
      '--config',
      this.#config,
      '--resume',
      this.#out,
      '--out',
      this.#out,
      '--single-process',
      '--max-steps',
      String(end),
      '--json',
    ]);
    const weights = weightsOf(resumed);
    expect(stepsIn(resumed.events)).toEqual(range(last + 1, end));
    // A checkpoint at the end of an epoch does not record whether that epoch was evaluated, so it is evaluated again.
    const again = Math.ceil(last / stepsPerEpoch);
    expect([again - 1, again]).toContain(tested.length);
    expect(testedEpochs(resumed.events)).toEqual(range(again, end / stepsPerEpoch));
    expect(weights).toBe(await undisturbed(end));
    expect(await readdir(this.#sockets)).toEqual([]);
  }
}
