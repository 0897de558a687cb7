/** Stretches of time of a worker's step: what `--trace` records. Owns their kinds and their form on the wire. */

import { z } from 'zod';

/** A step's parts on the main thread, and collectives in flight, which lie beside them. */
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
  /** Microseconds since 1970, of the worker's clock. */
  startUs: z.number().min(0).max(Number.MAX_SAFE_INTEGER),
  durationUs: z.number().min(0).max(Number.MAX_SAFE_INTEGER),
});
export type Span = Readonly<z.infer<typeof spanSchema>>;

/** In one message. */
export const maxSpans = 4_096;

/** A worker records so many steps after it has joined; both the file and the summary are bounded by it. */
export const tracedSteps = 1_000;

/** Now, in microseconds since 1970, with the resolution of the monotonic clock. */
export const nowUs = (): number => (performance.timeOrigin + performance.now()) * 1_000;
