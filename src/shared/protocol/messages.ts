/**
 * The control plane's messages, each with its schema; nothing else travels between coordinator and workers. Owns what
 * may be in them. Every field is bounded, because whoever reaches the port can send anything.
 */

import { z } from 'zod';
import { ledgerEntrySchema } from '../ledger/entries.js';
import { addressPattern } from '../memory/shared-memory.js';
import { resolvedConfigSchema } from '../config/run-config.js';
import { errorCodes } from '../errors.js';
import { keyPattern } from '../security/curve-key.js';
import { maxHistograms, namedHistogramSchema } from '../runs/histogram.js';
import { modelLayerSchema, maxLayers } from '../model/model-layer.js';
import { misclassifiedSampleSchema, maxMisclassified, pictureSchema } from '../evaluation/misclassified.js';
import { maxSpans, spanSchema } from '../timeline/spans.js';
import { stepParts, type StepPart } from '../timeline/step-parts.js';

export const protocolVersion = 3;

const count = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const uint32 = z.int().min(0).max(0xffffffff);
const shortText = z.string().max(1_024);
/** CURVE key that a worker's data plane is known by; absent: the run has no keys. */
const publicKey = z.string().regex(keyPattern).optional();
const endpoint = z
  .string()
  .max(1_024)
  .regex(/^(tcp|ipc|memory):\/\//);
const text = z.string().max(16_384);
const path = z.string().max(4_096);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
/** NaN and the infinities too: a diverged run must be able to say so. */
const loss = z.custom<number>((value) => typeof value === 'number', 'must be a number');
const wireError = z.strictObject({ code: z.enum([...errorCodes, 'INVARIANT']), message: text });

/** What the bits depend on besides the config (see worker/engine/identity.ts). */
export const identitySchema = z.strictObject({
  engine: shortText,
  kernels: shortText,
  device: shortText,
  threads: shortText,
  cpu: shortText,
  instructions: shortText,
});
export type WorkerIdentity = z.infer<typeof identitySchema>;

const milliseconds = z.number().min(0).max(Number.MAX_SAFE_INTEGER);
const partTimesSchema = z.strictObject(
  Object.fromEntries(stepParts.map((part) => [part, milliseconds])) as Record<StepPart, typeof milliseconds>,
);

/** Where workers of the same host can open this worker's memory (see memory/shared-memory.ts); null: nowhere. */
const memory = z.string().regex(addressPattern).nullable();

const joinSchema = z.strictObject({
  type: z.literal('join'),
  protocol: uint32,
  workerId: z.uuid(),
  pid: count,
  host: shortText,
  /** Where on its host: the same for the process that replaces it. */
  slot: shortText,
});

const readySchema = z.strictObject({
  type: z.literal('ready'),
  device: shortText,
  engine: shortText,
  layoutHash: sha256,
  /** Of the initial weights: equal on every worker or the run doesn't start. */
  weightsSha256: sha256,
  parameterCount: count,
  trainCount: count,
  testCount: count,
  dataSha256: sha256,
  endpoint,
  publicKey,
  memory,
  identity: identitySchema,
});

export const workerMessageSchema = z.discriminatedUnion('type', [
  /** First word of a worker. */
  joinSchema,
  /** Engine loaded, model built, data loaded, data plane bound. */
  readySchema,
  /** To the successor of a coordinator that is gone: what this worker is, and the generation that it is in. */
  z.strictObject({
    type: z.literal('rejoin'),
    runId: z.uuid(),
    generation: uint32,
    rank: uint32,
    worldSize: uint32.min(1),
    join: joinSchema,
    ready: readySchema,
  }),
  /** Connected to every other worker of the generation, and heard from each; whether all of them share memory with it. */
  z.strictObject({ type: z.literal('connected'), generation: uint32, sharing: z.boolean() }),
  /** Stopped after that step, as it was asked to: the generation may end. */
  z.strictObject({ type: z.literal('drained'), generation: uint32, step: uint32 }),
  /** After the end of that generation: the last step that this worker committed. */
  z.strictObject({ type: z.literal('last_committed'), generation: uint32, step: uint32 }),
  z.strictObject({
    type: z.literal('committed'),
    generation: uint32,
    step: uint32,
    epoch: uint32,
    loss,
    learningRate: z.number(),
    /** Where this worker's time went. */
    times: partTimesSchema.optional(),
  }),
  z.strictObject({
    type: z.literal('evaluated'),
    generation: uint32,
    step: uint32,
    split: z.enum(['train', 'test']),
    epoch: uint32,
    loss,
    metrics: z.record(z.string().max(320), loss).refine((metrics) => Object.keys(metrics).length <= 256),
    /** Null where nothing is classified; a part of a sample where one has several classes. */
    correct: z.number().min(0).nullable(),
    count,
  }),
  /** What this worker's part of an evaluation got wrong; before its `evaluated`. */
  z.strictObject({
    type: z.literal('misclassified'),
    generation: uint32,
    split: z.enum(['train', 'test']),
    epoch: uint32,
    step: uint32,
    samples: z.array(misclassifiedSampleSchema).max(maxMisclassified),
    picture: pictureSchema.nullable(),
  }),
  /** From rank 0, once: what the model is made of. */
  z.strictObject({
    type: z.literal('model'),
    generation: uint32,
    layers: z.array(modelLayerSchema).max(maxLayers),
  }),
  /** From rank 0, before its `committed` of that step: some of the weights and gradients, or all. */
  z.strictObject({
    type: z.literal('histograms'),
    generation: uint32,
    step: uint32,
    histograms: z.array(namedHistogramSchema).max(maxHistograms),
  }),
  z.strictObject({ type: z.literal('finished'), generation: uint32, steps: uint32, weightsSha256: sha256 }),
  z.strictObject({ type: z.literal('saved'), path: z.string().max(4_096) }),
  /** A checkpoint was written, or why not; an empty reason: the same as before. */
  z.strictObject({
    type: z.literal('checkpointed'),
    step: uint32,
    path: z.string().max(4_096),
    error: text.nullable(),
  }),
  z.strictObject({
    type: z.literal('ledger'),
    generation: uint32,
    entries: z.array(ledgerEntrySchema).max(65_536),
  }),
  /** With `--trace`. */
  z.strictObject({ type: z.literal('spans'), spans: z.array(spanSchema).max(maxSpans) }),
  z.strictObject({ type: z.literal('heartbeat'), generation: uint32, ticks: count, waitingFor: text }),
  /** The connection to another worker broke. */
  z.strictObject({ type: z.literal('lost'), generation: uint32, rank: uint32, reason: shortText }),
  z.strictObject({ type: z.literal('failed'), error: wireError }),
  z.strictObject({ type: z.literal('leave') }),
]);

/** Half-open. */
const range = z.strictObject({ start: uint32, end: uint32 });

const plannedWorkerSchema = z.strictObject({
  rank: uint32,
  /** The shards that it owns. */
  shards: range,
  endpoint,
  publicKey,
  memory,
  pid: count,
  host: shortText,
});

export const planSchema = z
  .strictObject({
    generation: uint32,
    rank: uint32,
    shards: uint32.min(1),
    /** In order of rank. */
    workers: z.array(plannedWorkerSchema).min(1).max(4_096),
    /** Training goes on after this step. */
    step: uint32,
    /** Who gives its state to all others; null: all are at that step. */
    source: uint32.nullable(),
    /** A checkpoint that the source takes its state from; null: it has it. */
    restore: path.nullable(),
    /** Folder of the run, for checkpoints; null: none are written. */
    out: path.nullable(),
    /** After which step was evaluated last, and the splits that need not be evaluated again. */
    evaluated: z.strictObject({ step: uint32, splits: z.array(z.enum(['train', 'test'])).max(2) }),
  })
  .refine(
    ({ rank, shards, workers }) => rank < workers.length && dealsAll(workers, shards),
    'must name its own rank, and deal every shard once, in order of rank',
  );

function dealsAll(workers: readonly z.infer<typeof plannedWorkerSchema>[], shards: number): boolean {
  let next = 0;
  for (const [
    index,
    {
      rank,
      shards: { start, end },
    },
  ] of workers.entries()) {
    if (rank !== index || start !== next || end < start) return false;
    next = end;
  }
  return next === shards;
}

export const coordinatorMessageSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('welcome'),
    protocol: uint32,
    runId: z.uuid(),
    config: resolvedConfigSchema,
    definition: z.strictObject({ path: z.string().max(4_096), sha256 }),
    /** Where the data plane's sockets are made; null: TCP on the interface that reaches the coordinator. */
    socketDirectory: z.string().max(4_096).nullable(),
  }),
  z.strictObject({ type: z.literal('plan'), plan: planSchema }),
  /** Stop after that step, or after the one in flight if it is later, and say so: the generation is to end there. */
  z.strictObject({ type: z.literal('drain'), generation: uint32, after: uint32 }),
  /** That generation is over: stop where you are, and say where you stand. */
  z.strictObject({ type: z.literal('stop_generation'), generation: uint32 }),
  z.strictObject({ type: z.literal('start_generation'), generation: uint32, sharing: z.boolean() }),
  /** Write a checkpoint of where you stand. */
  z.strictObject({ type: z.literal('checkpoint'), generation: uint32, directory: path }),
  z.strictObject({ type: z.literal('save'), generation: uint32, directory: z.string().max(4_096) }),
  /** Asked by a coordinator that doesn't know the sender: it may be the successor of the one that did. */
  z.strictObject({ type: z.literal('identify') }),
  z.strictObject({ type: z.literal('heartbeat') }),
  z.strictObject({ type: z.literal('finish') }),
  z.strictObject({ type: z.literal('abort'), error: wireError }),
]);

export type WorkerMessage = z.infer<typeof workerMessageSchema>;
export type CoordinatorMessage = z.infer<typeof coordinatorMessageSchema>;
export type Plan = z.infer<typeof planSchema>;
export type MessageOf<M extends { type: string }, T extends M['type']> = Extract<M, { type: T }>;
