/** The parts of a step that its time goes to. Also for browsers: imports nothing. */

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

/** Milliseconds of the main thread; they add up to the step. */
export type PartTimes = Readonly<Record<StepPart, number>>;

export const noTimes = (): Record<StepPart, number> =>
  Object.fromEntries(stepParts.map((part) => [part, 0])) as Record<StepPart, number>;

/** Of a whole step. */
export const totalOf = (times: PartTimes): number => stepParts.reduce((sum, part) => sum + times[part], 0);

/** What it waits for others. */
export const waitingOf = (times: PartTimes): number => times.waitBatchNorm + times.waitGradients;
