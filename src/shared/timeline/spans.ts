/** Timeline spans of a worker's steps, recorded with `--trace`. Owns their kinds and their form on the wire. */

import { z } from 'zod';

/** The parts of a step on the main thread, and collectives in flight, which overlap with them. */
export const spanKinds = [
  'step',
  'data',
  'forward',
  'loss',
  'backward',
  'waitBatchNorm',
  'waitGradients',
  'update',
  'collective',
] as const;
export type SpanKind = (typeof spanKinds)[number];

export const spanSchema = z.strictObject({
  kind: z.enum(spanKinds),
  /** `conv2d_1`, `gradients/3`. */
  name: z.string().max(1_024),
  step: z.int().min(0).max(0xffffffff),
  /** Microseconds since 1970 by the worker's clock. */
  startUs: z.number().min(0).max(Number.MAX_SAFE_INTEGER),
  durationUs: z.number().min(0).max(Number.MAX_SAFE_INTEGER),
});
export type Span = Readonly<z.infer<typeof spanSchema>>;

/** Limit of the spans in one message. */
export const maxSpans = 4_096;

/** Number of steps that a worker records after it has joined; bounds the trace file and the summary. */
export const tracedSteps = 1_000;

/** The time in microseconds since 1970, with the resolution of the monotonic clock. */
export const nowUs = (): number => (performance.timeOrigin + performance.now()) * 1_000;
