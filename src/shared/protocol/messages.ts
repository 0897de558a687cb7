/**
 * The messages of the control plane, between coordinator and workers, and their schemas. docs/protocol.md explains them. Every
 * field is bounded, because any process that reaches the port can send anything.
 */

import { z } from 'zod';
import { fingerprintSchema } from '../identity/fingerprint.js';
import { ledgerEntrySchema } from '../ledger/entries.js';
import { addressPattern } from '../memory/shared-memory.js';
import { compiledFieldsSchema, resolvedConfigSchema } from '../config/run-config.js';
import { preprocessingSchema } from '../data/preprocessing.js';
import { keyPattern } from '../security/curve-key.js';
import { relativePathSchema } from '../runs/definition-record.js';
import { maxSpans, spanSchema } from '../timeline/spans.js';
import { displaySchemas } from './display-messages.js';
import { printableLine } from './printable.js';
import {
  coordinatorTransferSchemas,
  folderSchema,
  stopNoticeSchema,
  textSchema,
  wireErrorSchema,
  workerTransferSchemas,
} from './transfer-messages.js';
import { stepParts, type StepPart } from '../timeline/step-parts.js';

export const protocolVersion = 9;

const count = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const uint32 = z.int().min(0).max(0xffffffff);
/** Texts of peers are printed, so they contain no control characters once they have been parsed. */
const shortText = z
  .string()
  .max(1_024)
  .overwrite((text) => printableLine(text));
/** Public CURVE key of a worker's data plane; absent if the run has no keys. */
const publicKey = z.string().regex(keyPattern).optional();
const endpoint = z
  .string()
  .max(1_024)
  .regex(/^(tcp|ipc|memory):\/\//);
const path = z.string().max(4_096);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
/** NaN and infinities are permitted, since a diverged run must be able to report them. */
const loss = z.custom<number>((value) => typeof value === 'number', 'must be a number');

const metricsSchema = z
  .record(z.string().max(320), loss)
  .refine((metrics) => Object.keys(metrics).length <= 256);

/** The properties of a worker's machine and engine that determine the bits (see worker/engine/identity.ts). */
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

/** Address at which workers of the same host can open this worker's memory (see memory/shared-memory.ts); null: none. */
const memory = z.string().regex(addressPattern).nullable();

/** The definition's file, and the local files of which it consists, which a worker compares with its own before it executes them. */
export const definitionRefSchema = z.strictObject({
  path,
  /** Hash of the file. */
  sha256,
  /** Path of the file below the folder to which the names in `files` refer. */
  entry: relativePathSchema,
  /** Short hashes by name; empty if there are too many files. */
  files: z.record(relativePathSchema, z.string().max(64)),
});
export type DefinitionRef = Readonly<z.infer<typeof definitionRefSchema>>;

const joinSchema = z.strictObject({
  type: z.literal('join'),
  protocol: uint32,
  workerId: z.uuid(),
  pid: count,
  host: shortText,
  /** The worker slot on its host; a process that replaces this one has the same. */
  workerSlot: shortText,
});

const readySchema = z.strictObject({
  type: z.literal('ready'),
  device: shortText,
  engine: shortText,
  layoutHash: sha256,
  /** Hash of the initial weights, which must be equal on every worker. */
  weightsSha256: sha256,
  parameterCount: count,
  trainCount: count,
  testCount: count,
  dataSha256: sha256,
  endpoint,
  publicKey,
  memory,
  identity: identitySchema,
  /** Hashes of what the worker runs. */
  fingerprint: fingerprintSchema,
  /** Choices of the definition's `model.compile`; absent if there are none. */
  compiled: compiledFieldsSchema.optional(),
  /** Notes on the model for the user, the same on every worker; absent if there are none. */
  warnings: z.array(textSchema).max(64).optional(),
  /** True if the worker shares the run's folder with the coordinator; absent if not. */
  sharesFolder: z.boolean().optional(),
});

/**
 * The stages of a worker between `join` and `ready`, in order. In `installation`, which is rare, it waits until another process has
 * installed the engine.
 */
export const loadingStages = ['definition', 'installation', 'engine', 'model', 'network'] as const;
export type LoadingStage = (typeof loadingStages)[number];

export const workerMessageSchema = z.discriminatedUnion('type', [
  /** The first message of a worker. */
  joinSchema,
  /** The engine is loaded, the model is built, the data is loaded, and the data plane is bound. */
  readySchema,
  /**
   * The worker has begun a stage of loading. In the stage `installation` the message is repeated while it lasts, and `lock` is the path of
   * the other process's lock.
   */
  z.strictObject({ type: z.literal('loading'), stage: z.enum(loadingStages), lock: shortText.optional() }),
  /** The answer to `identify`: the worker and its generation. */
  z.strictObject({
    type: z.literal('rejoin'),
    runId: z.uuid(),
    generation: uint32,
    rank: uint32,
    worldSize: uint32.min(1),
    join: joinSchema,
    ready: readySchema,
  }),
  /** The worker has connected to all other members. `sharesMemory`: all of them share memory with it. */
  z.strictObject({ type: z.literal('connected'), generation: uint32, sharesMemory: z.boolean() }),
  /** The answer to `drain`: the worker has stopped after this step. */
  z.strictObject({ type: z.literal('drained'), generation: uint32, step: uint32 }),
  /** The answer to `stop_generation`: the last step that the worker committed. */
  z.strictObject({ type: z.literal('last_committed'), generation: uint32, step: uint32 }),
  z.strictObject({
    type: z.literal('committed'),
    generation: uint32,
    step: uint32,
    epoch: uint32,
    loss,
    learningRate: z.number(),
    /** The worker's time by part of the step. */
    times: partTimesSchema.optional(),
    /** Means over the batch; with `trainMetrics` only. */
    metrics: metricsSchema.optional(),
  }),
  z.strictObject({
    type: z.literal('evaluated'),
    generation: uint32,
    step: uint32,
    split: z.enum(['train', 'test']),
    epoch: uint32,
    loss,
    metrics: metricsSchema,
    /** Number of correct samples; null if the model does not classify; fractional if a sample has several classes. */
    correct: z.number().min(0).nullable(),
    count,
  }),
  ...displaySchemas,
  z.strictObject({ type: z.literal('finished'), generation: uint32, steps: uint32, weightsSha256: sha256 }),
  z.strictObject({ type: z.literal('saved'), path: z.string().max(4_096) }),
  /** A checkpoint was written, or failed with `error`. If a checkpoint fails with the same error as the previous one, `error` is empty. */
  z.strictObject({
    type: z.literal('checkpointed'),
    step: uint32,
    path: z.string().max(4_096),
    error: textSchema.nullable(),
    /** Time from the copy of the state to the end of the write. */
    seconds: z.number().min(0).optional(),
  }),
  ...workerTransferSchemas,
  z.strictObject({
    type: z.literal('ledger'),
    generation: uint32,
    entries: z.array(ledgerEntrySchema).max(65_536),
  }),
  /** Spans of the timeline; sent with `--trace` only. */
  z.strictObject({ type: z.literal('spans'), spans: z.array(spanSchema).max(maxSpans) }),
  z.strictObject({
    type: z.literal('heartbeat'),
    generation: uint32,
    ticks: count,
    waitingFor: textSchema,
    /** CPU time and wall time of the worker's process since its start, and its resident memory. */
    usage: z.strictObject({ cpuMs: count, uptimeMs: count, memoryBytes: count }).optional(),
  }),
  /** The connection to another member broke. */
  z.strictObject({ type: z.literal('lost'), generation: uint32, rank: uint32, reason: shortText }),
  z.strictObject({ type: z.literal('failed'), error: wireErrorSchema }),
  /** The worker has received a signal to stop. `notice`: a scheduler's signal for the whole run, which the run ends with. */
  z.strictObject({ type: z.literal('leave'), notice: stopNoticeSchema.optional() }),
]);

/** Half-open range of shard ids. */
const range = z.strictObject({ start: uint32, end: uint32 });

const plannedWorkerSchema = z.strictObject({
  rank: uint32,
  /** The shards that the worker owns. */
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
    /** The ids of the members in order of rank. A member finds its own rank here, so all members receive the same bytes. */
    memberIds: z.array(z.uuid()),
    shards: uint32.min(1),
    /** All members in order of rank. */
    workers: z.array(plannedWorkerSchema).min(1).max(4_096),
    /** Training continues after this step. */
    step: uint32,
    /** The rank that shares its state with the others; null if all have committed that step. */
    source: uint32.nullable(),
    /** The checkpoint from which the source restores its state; null if it has the state. */
    restore: path.nullable(),
    /** Folder of the run for checkpoints; null if none are written. */
    out: path.nullable(),
    /** The rank that writes checkpoints and the model: the lowest one that shares the run's folder, else 0. */
    writer: uint32,
    /** The last step with a reported evaluation, and the splits that must not be reported again. */
    evaluated: z.strictObject({ step: uint32, splits: z.array(z.enum(['train', 'test'])).max(2) }),
  })
  .refine(
    ({ memberIds, writer, shards, workers }) =>
      writer < workers.length &&
      new Set(memberIds).size === workers.length &&
      memberIds.length === workers.length &&
      assignsAll(workers, shards),
    'must contain the writer and an id of its own for each member, and assign every shard once, in order of rank',
  );

function assignsAll(workers: readonly z.infer<typeof plannedWorkerSchema>[], shards: number): boolean {
  let next = 0;
  for (const [index, { rank, shards: owned }] of workers.entries()) {
    if (rank !== index || owned.start !== next || owned.end < owned.start) return false;
    next = owned.end;
  }
  return next === shards;
}

export const coordinatorMessageSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('welcome'),
    protocol: uint32,
    runId: z.uuid(),
    config: resolvedConfigSchema,
    definition: definitionRefSchema,
    /** The conversion of files to inputs in the checkpoint that the run resumes from. */
    preprocessing: preprocessingSchema.nullable(),
    /** Folder of the data plane's sockets; null: TCP on the interface that reaches the coordinator. */
    socketDirectory: z.string().max(4_096).nullable(),
    folder: folderSchema,
  }),
  z.strictObject({ type: z.literal('plan'), plan: planSchema }),
  /** Stop after this step, or after the current one if it is later, and answer `drained`. */
  z.strictObject({ type: z.literal('drain'), generation: uint32, after: uint32 }),
  /** The generation is over: abort the current step and answer `last_committed`. */
  z.strictObject({ type: z.literal('stop_generation'), generation: uint32 }),
  z.strictObject({ type: z.literal('start_generation'), generation: uint32, sharesMemory: z.boolean() }),
  /** Write a checkpoint of the last committed step and answer `checkpointed`. */
  z.strictObject({ type: z.literal('checkpoint'), generation: uint32, directory: path }),
  /** Write a checkpoint after the step in progress. The training continues. */
  z.strictObject({ type: z.literal('request_checkpoint'), generation: uint32 }),
  z.strictObject({ type: z.literal('save'), generation: uint32, directory: z.string().max(4_096) }),
  ...coordinatorTransferSchemas,
  /** Sent by a new coordinator to a connection that it does not recognize. A worker that has been a member answers `rejoin`. */
  z.strictObject({ type: z.literal('identify') }),
  z.strictObject({ type: z.literal('heartbeat') }),
  z.strictObject({ type: z.literal('finish') }),
  z.strictObject({ type: z.literal('abort'), error: wireErrorSchema }),
]);

export type WorkerMessage = z.infer<typeof workerMessageSchema>;
export type CoordinatorMessage = z.infer<typeof coordinatorMessageSchema>;
/** The plan of a generation as all members receive it. */
export type CommonPlan = z.infer<typeof planSchema>;
/** The plan of a generation with the rank of one member. */
export type Plan = Omit<CommonPlan, 'memberIds'> & { readonly rank: number };
export type MessageOf<M extends { type: string }, T extends M['type']> = Extract<M, { type: T }>;
