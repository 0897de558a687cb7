/**
 * `lockstep chaos --soak`: one long run with periodic faults. It is interrupted at the end of its time, and its last checkpoint is
 * compared with an undisturbed run of as many steps. The eldest worker is spared, so that one process lives through all generations
 * and shows what each of them leaks.
 */

import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { setStepDelay } from '../shared/faults/fault-request.js';
import { collectVariable } from '../shared/memory/garbage-collection.js';
import { PhiloxSequence, philoxKey } from '../shared/random/philox.js';
import { inject, requestPlannedFault, type InjectedFault } from './inject.js';
import { nobodySurvived, recoveryMs } from './recovery.js';
import { Resources, type Growth } from './resources.js';
import { hashOf, type ChaosSetting, type FaultReport } from './chaos-run.js';
import { drawFault, type ChaosFault, type PlannedFault, type ScenarioOptions } from './scenario.js';
import { definitionOf, Training, type Timed } from './training-process.js';

export interface SoakOptions extends ChaosSetting {
  readonly seed: number;
  readonly faults: readonly ChaosFault[];
  readonly points: ScenarioOptions['points'];
  readonly workers: number;
  readonly minutes: number;
  readonly everySeconds: number;
  readonly folder: string;
  readonly say: (line: string) => void;
}

export interface SoakReport {
  readonly faults: readonly FaultReport[];
  readonly steps: number;
  readonly generations: number;
  readonly growth: readonly Growth[];
  readonly problems: readonly string[];
}

const sampleMs = 1_000;
/** Interval of garbage collections: unreferenced memory must not count as held. */
const collectMs = 2_000;

export async function soak(options: SoakOptions): Promise<SoakReport> {
  const { folder, workers, minutes, everySeconds, say } = options;
  const [requests, sockets, out] = ['fault-requests', 's', 'run'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  setStepDelay(requests, options.paceMs);
  const args = [...options.options, '--workers', String(workers), '--out', out, '--fault-requests', requests];
  // Without shared memory, so that every payload is a message.
  args.push('--shared-memory', 'off', '--checkpoint-every', '5s');
  const collect = { [collectVariable]: String(collectMs) };
  const training = new Training(args, sockets, (minutes + 10) * 60_000, collect);
  const resources = new Resources();
  const sampler = setInterval(() => resources.sample(training, sockets, requests), sampleMs);
  const endMs = Date.now() + minutes * 60_000;
  const injected: InjectedFault[] = [];
  await training.next(({ event }) => event === 'step');
  const sequence = new PhiloxSequence(philoxKey(options.seed, 'faults'), 0xffffffff);
  for (let number = 1; Date.now() < endMs - everySeconds * 1000 && !training.over; number++) {
    const nextMs = Date.now() + everySeconds * 1000;
    const fault = drawOne(options, sequence, number, training);
    if (fault) {
      requestPlannedFault(requests, fault);
      injected.push(
        await within(everySeconds * 1000, inject(training, requests, fault), {
          planned: fault,
          atMs: undefined,
          pid: 0,
        }),
      );
      const last = injected.at(-1);
      say(
        `${fault.id}: ${fault.kind} at ${fault.point}, step ${training.step}${last?.atMs === undefined ? ': did not fire' : ''}`,
      );
    }
    await Promise.race([pause(Math.max(0, nextMs - Date.now()), undefined, { ref: false }), training.ended]);
  }
  await Promise.race([pause(Math.max(0, endMs - Date.now()), undefined, { ref: false }), training.ended]);
  clearInterval(sampler);
  training.signal('SIGINT');
  const { status, events, leftovers } = await training.ended;
  const last = events.findLast((event) => event.event === 'checkpoint')?.step ?? 0;
  say(`interrupted after step ${training.step}; comparing with an undisturbed run of ${last} steps`);
  return {
    faults: injected.map((fault) => ({
      ...fault,
      recoveryMs: recoveryMs(fault, until(fault, events, injected)),
      nobodySurvived: nobodySurvived(fault, events),
    })),
    steps: last,
    generations: events.filter(({ event }) => event === 'generation').length,
    growth: resources.growth(),
    problems: [
      ...(status === 130
        ? []
        : [`ended with status ${status ?? 'none'} instead of 130: ${lastWords(events)}`]),
      ...injected
        .filter(({ atMs }) => atMs === undefined)
        .map(({ planned: { id, kind, point } }) => `${id}: the fault ${kind} at ${point} did not fire`),
      ...leftovers.map((what) => `left behind: ${what}`),
      ...(await differing(options, out, last)),
    ],
  };
}

/** Returns undefined while a worker is missing. */
function drawOne(
  { faults, points, workers }: SoakOptions,
  sequence: PhiloxSequence,
  number: number,
  { members, step: now }: Training,
): PlannedFault | undefined {
  if (members.size < workers) return undefined;
  const draw = <T>(from: readonly T[]): T => from[sequence.below(from.length)] as T;
  const id = `fault-${number}`;
  const drawn = drawFault({ faults, points, steps: 1 }, draw, sequence, workers, undefined, id);
  const [eldest] = [...members].sort(([, a], [, b]) => a - b);
  const ranks = [...members.keys()].filter((rank) => rank !== eldest?.[0]);
  const rank = draw(ranks);
  const another = ranks.find((other) => other !== rank) ?? rank;
  const step = now + 1;
  const fault = sparing(drawn);
  const { request, trigger } = fault;
  // In the next generation the survivors have the lowest ranks, the eldest first.
  const victims = {
    'generation-ended': another,
    'peers-connected': 1,
    'state-transfer': 1,
    join: null,
    checkpoint: null,
  } as const;
  const victim =
    request && (request.point in victims ? victims[request.point as keyof typeof victims] : rank);
  return {
    ...fault,
    step,
    rank,
    request: request && { ...request, step: trigger ? 0 : step, rank: victim ?? null },
    trigger: trigger && { ...trigger, step, rank },
  };
}

/** The eldest worker writes the checkpoints and must survive: moves fatal faults to another point. */
function sparing(fault: PlannedFault): PlannedFault {
  const { request, kind } = fault;
  if (request?.point !== 'checkpoint' || (kind !== 'kill' && kind !== 'stop')) return fault;
  return { ...fault, point: 'commit', request: { ...request, point: 'commit' } };
}

/** The events up to the next fault, so that each fault is judged separately. */
function until(
  fault: InjectedFault,
  events: readonly Timed[],
  all: readonly InjectedFault[],
): readonly Timed[] {
  const next = Math.min(
    ...all.flatMap(({ atMs }) => (atMs !== undefined && atMs > (fault.atMs ?? 0) ? [atMs] : [])),
  );
  return events.filter(({ atMs }) => atMs < next);
}

function within<T>(ms: number, promise: Promise<T>, otherwise: T): Promise<T> {
  return Promise.race([promise, pause(ms, otherwise, { ref: false })]);
}

const lastWords = (events: readonly Timed[]): string => {
  const error = events.findLast((event) => event.event === 'error');
  return error?.message ?? 'no error was given';
};

async function differing(options: SoakOptions, out: string, steps: number): Promise<string[]> {
  if (steps === 0) return ['no checkpoint was written at the end'];
  const end = ['--max-steps', String(steps)];
  const run = async (...args: string[]): Promise<string> => {
    const training = new Training([...args, ...end], join(options.folder, 's'), options.minutes * 120_000);
    return hashOf((await training.ended).events);
  };
  const disturbed = await run(...definitionOf(options.options), '--resume', out, '--workers', '1');
  const undisturbed = await run(
    ...options.options,
    '--workers',
    '2',
    '--out',
    join(options.folder, 'undisturbed'),
  );
  if (disturbed === undisturbed && disturbed !== '') return [];
  return [`weights ${disturbed.slice(0, 12)}… after step ${steps}, undisturbed ${undisturbed.slice(0, 12)}…`];
}
