/**
 * What happens in one run of `lockstep chaos`: which faults, where and when, on how many workers. A function of the seed and the
 * run's number alone, so that a run that failed can be had again. Knows nothing of processes.
 */

import { linkFaults, type FaultRequestInput, type FaultPoint } from '../shared/faults/fault-request.js';
import { PhiloxSequence, philoxKey } from '../shared/random/philox.js';

/** `coordinator`, `coordinator-stop`: its process killed, stopped. `resume`: everybody killed, then `--resume` on other workers. */
export const chaosFaults = [
  'kill',
  'stop',
  ...linkFaults,
  'coordinator',
  'coordinator-stop',
  'resume',
] as const;
export type ChaosFault = (typeof chaosFaults)[number];

const stepPoints = ['bn-forward', 'bn-backward', 'reduce', 'apply', 'commit'] as const;
/** Passed only when a membership has ended: something has to end it first. */
const recoveryPoints = ['recovery', 'meeting', 'catch-up', 'join'] as const;

export interface PlannedFault {
  readonly id: string;
  readonly kind: ChaosFault;
  /** `random`: whenever, some time after that step. */
  readonly point: FaultPoint | 'random';
  readonly step: number;
  /** What a worker is told; undefined for a random time, at which it happens from outside. */
  readonly order: FaultRequestInput | undefined;
  /** Ends a membership, so that the point is reached. */
  readonly trigger: FaultRequestInput | undefined;
  /** Random time: whose, and how long after the step. */
  readonly rank: number;
  readonly delayMs: number;
  /** A process that was stopped goes on before anybody misses it. */
  readonly wakesSoon: boolean;
}

export interface Scenario {
  readonly workers: number;
  readonly resumeWorkers: number;
  readonly sharedMemory: 'auto' | 'off';
  readonly faults: readonly PlannedFault[];
}

export interface ScenarioOptions {
  readonly seed: number;
  readonly faults: readonly ChaosFault[];
  /** Empty: all that fit, and random times. */
  readonly points: readonly (FaultPoint | 'random')[];
  readonly workers: readonly number[];
  /** Of the whole training. */
  readonly steps: number;
  /** Faults at once. */
  readonly together: 1 | 2;
}

type Draw = <T>(from: readonly T[]) => T;

const isLink = (kind: ChaosFault): boolean => (linkFaults as readonly string[]).includes(kind);

/** May be of the link to the coordinator too, whose messages nobody sends again when they are lost. */
const isLasting = (kind: ChaosFault): boolean => kind === 'delay' || kind === 'partition';

function pointsOf(kind: ChaosFault): readonly (FaultPoint | 'random')[] {
  if (kind === 'resume') return ['random'];
  // The writer's thread has no links; a worker that joins, or whose membership is over, has none to others.
  if (isLasting(kind)) return [...stepPoints, 'recovery', 'meeting', 'catch-up'];
  if (isLink(kind)) return [...stepPoints, 'meeting', 'catch-up'];
  return [...stepPoints, 'checkpoint', ...recoveryPoints, 'random'];
}

function linkAt(point: FaultPoint, kind: ChaosFault, draw: Draw): number | 'coordinator' {
  if (point === 'recovery') return 'coordinator';
  return draw<number | 'coordinator'>(isLasting(kind) ? [0, 1, 'coordinator'] : [0, 1, 2]);
}

export function drawScenario(options: ScenarioOptions, run: number): Scenario {
  const sequence = new PhiloxSequence(philoxKey(options.seed, 'faults'), run);
  const draw: Draw = (from) => from[sequence.below(from.length)] as (typeof from)[number];
  const workers = draw(options.workers);
  const others = [1, 2, 3, 4].filter((count) => count !== workers);
  const faults: PlannedFault[] = [];
  for (let index = 0; index < options.together; index++)
    faults.push(drawFault(options, draw, sequence, workers, faults[0]));
  return {
    workers,
    resumeWorkers: draw(others),
    // Else small vectors need no message that could be hit.
    sharedMemory: faults.some(({ kind }) => isLink(kind)) ? 'off' : 'auto',
    faults,
  };
}

/** @param first the fault that happens at the same time */
export function drawFault(
  { faults, points, steps }: Pick<ScenarioOptions, 'faults' | 'points' | 'steps'>,
  draw: Draw,
  sequence: PhiloxSequence,
  workers: number,
  first?: PlannedFault,
  id = first ? 'second' : 'first',
): PlannedFault {
  const allowed = (kind: ChaosFault): readonly (FaultPoint | 'random')[] => {
    const fit = pointsOf(kind).filter((point) => points.length === 0 || points.includes(point));
    // With one worker there is nobody at the other end.
    return workers === 1 && isLink(kind) ? [] : fit;
  };
  const kind = draw(faults.filter((name) => allowed(name).length > 0));
  const point = draw(allowed(kind));
  const from = Math.max(1, Math.floor(steps / 5));
  const step = first?.step ?? from + sequence.below(Math.max(1, Math.floor(steps / 3)));
  const rank = first ? (first.rank + 1) % workers : sequence.below(workers);
  const inRecovery = (recoveryPoints as readonly string[]).includes(point);
  const common = {
    id,
    kind,
    point,
    step,
    rank,
    delayMs: sequence.below(60),
    wakesSoon: sequence.below(3) === 0,
  };
  if (point === 'random') return { ...common, order: undefined, trigger: undefined };
  // The first fault of a pair may be what ends the membership.
  const ends = first?.kind === 'kill' && first.order !== undefined && first.trigger === undefined;
  const triggerId = ends ? first.id : `${id}-trigger`;
  const order: FaultRequestInput = {
    id,
    kind: kind === 'coordinator' || kind === 'coordinator-stop' ? 'hold' : (kind as 'kill'),
    point,
    // A worker that joins knows of no step yet.
    step: inRecovery ? 0 : step,
    rank: inRecovery || point === 'checkpoint' ? null : rank,
    skip: point === 'bn-forward' || point === 'bn-backward' || point === 'reduce' ? sequence.below(2) : 0,
    ms: 200 + sequence.below(kind === 'partition' ? 3_000 : 800),
    link: linkAt(point, kind, draw),
    after: inRecovery ? triggerId : null,
  };
  const trigger: FaultRequestInput | undefined =
    inRecovery && !ends ? { id: triggerId, kind: 'kill', point: 'commit', step, rank } : undefined;
  return { ...common, order, trigger };
}
