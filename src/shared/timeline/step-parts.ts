/** The parts of a step that its time goes to, and how a worker says so with each step. */

import { z } from 'zod';

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

const milliseconds = z.number().min(0).max(Number.MAX_SAFE_INTEGER);

/** Milliseconds of the main thread; they add up to the step. */
export const partTimesSchema = z.strictObject(
  Object.fromEntries(stepParts.map((part) => [part, milliseconds])) as Record<StepPart, typeof milliseconds>,
);
export type PartTimes = Readonly<z.infer<typeof partTimesSchema>>;

export const noTimes = (): Record<StepPart, number> =>
  Object.fromEntries(stepParts.map((part) => [part, 0])) as Record<StepPart, number>;

/** Of a whole step. */
export const totalOf = (times: PartTimes): number => stepParts.reduce((sum, part) => sum + times[part], 0);

/** What it waits for others. */
export const waitingOf = (times: PartTimes): number => times.waitBatchNorm + times.waitGradients;
