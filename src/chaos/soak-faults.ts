/**
 * Draws the faults of a soak. The eldest worker is spared, so that one process lives through all generations and shows what each of them
 * leaks.
 */

import type { PhiloxSequence } from '../shared/random/philox.js';
import { drawFault, type ChaosFault, type PlannedFault, type ScenarioOptions } from './scenario.js';
import type { Training } from './training-process.js';

export interface SoakFaults {
  readonly faults: readonly ChaosFault[];
  readonly points: ScenarioOptions['points'];
  readonly workers: number;
}

/** Returns undefined while a worker is missing. */
export function drawSoakFault(
  { faults, points, workers }: SoakFaults,
  sequence: PhiloxSequence,
  number: number,
  { members, step: now }: Pick<Training, 'members' | 'step'>,
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
