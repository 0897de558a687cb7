/**
 * Draws the scenario of one run of `lockstep chaos`: the faults, their points and steps, and the number of workers. A function of the
 * seed and the number of the run alone, so that a failed run can be repeated. Starts no process.
 */

import { linkFaults, type FaultRequestInput, type FaultPoint } from '../shared/faults/fault-request.js';
import { PhiloxSequence, philoxKey } from '../shared/random/philox.js';

/**
 * `coordinator` kills the coordinator's process and `coordinator-stop` stops it. `resume` kills all processes and resumes the run with
 * another number of workers. `storm` sends SIGTERM to all processes several times and resumes it likewise. `pause` stops all processes
 * for some seconds.
 */
export const chaosFaults = [
  'kill',
  'stop',
  ...linkFaults,
  'coordinator',
  'coordinator-stop',
  'resume',
  'pause',
  'storm',
] as const;
export type ChaosFault = (typeof chaosFaults)[number];

/** Duration of a stop that no timeout detects. */
export const shortStopMs = 500;
/** Longer than the time after which a process notices that it was stopped. */
const shortestPauseMs = 1_500;

const stepPoints = ['bn-forward', 'bn-backward', 'reduce', 'mid-commit', 'commit'] as const;
/** A training in progress reaches these points only after its generation has ended. Another fault therefore ends the generation first. */
const recoveryPoints = ['generation-ended', 'peers-connected', 'state-transfer', 'join'] as const;

export interface PlannedFault {
  readonly id: string;
  readonly kind: ChaosFault;
  /** `random`: at a random time after the step. */
  readonly point: FaultPoint | 'random';
  readonly step: number;
  /** The request to a worker; undefined for a random time, at which this process injects the fault. */
  readonly request: FaultRequestInput | undefined;
  /** Ends a generation, so that the point is reached. */
  readonly trigger: FaultRequestInput | undefined;
  /** For a random time: the worker's rank, and the delay after the step. */
  readonly rank: number;
  readonly delayMs: number;
  /** True if a stopped process continues before any timeout detects it. */
  readonly wakesSoon: boolean;
  /** Duration of a `pause`; 0 for other faults. */
  readonly pauseMs: number;
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
  /** Empty: all points that a fault can have, and random times. */
  readonly points: readonly (FaultPoint | 'random')[];
  readonly workers: readonly number[];
  /** Number of steps of the training. */
  readonly steps: number;
  /** Number of faults at the same step. */
  readonly together: 1 | 2;
}

type Draw = <T>(from: readonly T[]) => T;

/** True for faults that end all processes of a run, which has to be started again. */
export const endsRun = (kind: ChaosFault): boolean => kind === 'resume' || kind === 'storm';

const isLink = (kind: ChaosFault): boolean => (linkFaults as readonly string[]).includes(kind);

/** Faults that lose no message. Only these are injected into the link to the coordinator, whose messages are not repeated. */
const isLasting = (kind: ChaosFault): boolean => kind === 'delay' || kind === 'partition';

function pointsOf(kind: ChaosFault): readonly (FaultPoint | 'random')[] {
  if (endsRun(kind) || kind === 'pause') return ['random'];
  // The checkpoint writer's thread has no links, and a worker without a generation has none to peers.
  if (isLasting(kind)) return [...stepPoints, 'generation-ended', 'peers-connected', 'state-transfer'];
  if (isLink(kind)) return [...stepPoints, 'peers-connected', 'state-transfer'];
  return [...stepPoints, 'checkpoint', ...recoveryPoints, 'random'];
}

function linkAt(point: FaultPoint, kind: ChaosFault, draw: Draw): number | 'coordinator' {
  if (point === 'generation-ended') return 'coordinator';
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
    // With shared memory small vectors need no messages.
    sharedMemory: faults.some(({ kind }) => isLink(kind)) ? 'off' : 'auto',
    faults,
  };
}

/** @param first the other fault of a pair */
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
    // A single worker has no links to peers.
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
    pauseMs: kind === 'pause' ? shortestPauseMs + sequence.below(4_000) : 0,
  };
  if (point === 'random') return { ...common, request: undefined, trigger: undefined };
  // The first fault of a pair may end the generation.
  const ends = first?.kind === 'kill' && first.request !== undefined && first.trigger === undefined;
  const triggerId = ends ? first.id : `${id}-trigger`;
  const request: FaultRequestInput = {
    id,
    kind: kind === 'coordinator' || kind === 'coordinator-stop' ? 'hold' : (kind as 'kill'),
    point,
    // A joining worker has no step yet.
    step: inRecovery ? 0 : step,
    rank: inRecovery || point === 'checkpoint' ? null : rank,
    skip: point === 'bn-forward' || point === 'bn-backward' || point === 'reduce' ? sequence.below(2) : 0,
    ms: 200 + sequence.below(kind === 'partition' ? 3_000 : 800),
    link: linkAt(point, kind, draw),
    after: inRecovery ? triggerId : null,
  };
  const trigger: FaultRequestInput | undefined =
    inRecovery && !ends ? { id: triggerId, kind: 'kill', point: 'commit', step, rank } : undefined;
  return { ...common, request, trigger };
}
