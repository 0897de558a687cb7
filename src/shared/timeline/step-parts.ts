/** The parts of a step by which its time is broken down. Used in browsers too: imports nothing. */

export const stepParts = [
  'data',
  'forward',
  'loss',
  'backward',
  'waitBatchNorm',
  'waitGradients',
  'update',
  'other',
] as const;
export type StepPart = (typeof stepParts)[number];

/** Milliseconds of the main thread per part; their sum is the duration of the step. */
export type PartTimes = Readonly<Record<StepPart, number>>;

export const noTimes = (): Record<StepPart, number> =>
  Object.fromEntries(stepParts.map((part) => [part, 0])) as Record<StepPart, number>;

/** Duration of the step in milliseconds. */
export const totalOf = (times: PartTimes): number => stepParts.reduce((sum, part) => sum + times[part], 0);

/** Time spent waiting for other workers, in milliseconds. */
export const waitingOf = (times: PartTimes): number => times.waitBatchNorm + times.waitGradients;
