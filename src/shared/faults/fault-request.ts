/**
 * Fault requests of `lockstep chaos` and of tests: their fields, and the folder through which a request reaches the one process that
 * injects the fault. A request is injected once in a run: the process that renames its file has claimed it, and processes that start
 * later do not find it. Each injected fault is recorded, so that a fault that never happened is not counted as survived.
 */

import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { systemCode } from '../errors.js';

/** Points of a worker's life at which a fault can be injected. */
export const faultPoints = [
  /** The worker has loaded its engine, model and data, and has not sent `ready`. */
  'join',
  /** All peers have connected to this worker; it has not sent `connected`. */
  'peers-connected',
  /** The training state is being broadcast to the workers that lack it: its parameters, but not its statistics, have been received. */
  'state-transfer',
  'bn-forward',
  'bn-backward',
  /** A gradient bucket is about to be all-reduced. */
  'reduce',
  /** Between the update of the running statistics and the optimizer's update. */
  'mid-commit',
  /** The step is complete; the coordinator has not been informed. */
  'commit',
  /** The checkpoint is written under a temporary name and not yet renamed. */
  'checkpoint',
  /** The generation has ended; the worker has not reported its last committed step. */
  'generation-ended',
] as const;
export type FaultPoint = (typeof faultPoints)[number];

/** Faults of one link of a worker. `delay`: outgoing messages wait. `partition`: messages of both directions wait. */
export const linkFaults = ['drop', 'delay', 'duplicate', 'corrupt', 'partition'] as const;
export type LinkFaultKind = (typeof linkFaults)[number];

const requestSchema = z.strictObject({
  id: z.string().regex(/^[\w-]{1,64}$/),
  /** `hold`: the worker waits at the point until the request is released. */
  kind: z.enum(['kill', 'stop', 'hold', ...linkFaults]),
  point: z.enum(faultPoints),
  /** First step at which the fault is injected. */
  step: z.int().min(0).default(0),
  /** Rank of the worker; null: the first worker that reaches the point. */
  rank: z.int().min(0).nullable().default(null),
  /** Number of times the worker passes the point before the fault is injected. */
  skip: z.int().min(0).default(0),
  /** Duration of a link fault in milliseconds. */
  ms: z.int().min(0).max(600_000).default(0),
  /** The link's other end: the rank at this distance minus one (modulo the world size), or the coordinator. */
  link: z.union([z.int().min(0), z.literal('coordinator')]).default(0),
  /** Id of a request that must have been injected before. */
  after: z.string().nullable().default(null),
});
export type FaultRequest = Readonly<z.infer<typeof requestSchema>>;
export type FaultRequestInput = z.input<typeof requestSchema>;

const recordSchema = z.object({
  atMs: z.number(),
  pid: z.int(),
  point: z.string(),
  step: z.int(),
  rank: z.int().nullable(),
});
/** Record of an injected fault: the time (milliseconds since 1970), the process, and the point and step it had reached. */
export type FaultRecord = Readonly<z.infer<typeof recordSchema>>;

const fileOf = (folder: string, id: string, state: 'request' | 'claimed' | 'record' | 'released'): string =>
  join(folder, `${id}.${state}`);

/** @throws ZodError when a field of the request is invalid */
export function requestFault(folder: string, request: FaultRequestInput): void {
  mkdirSync(folder, { recursive: true });
  const content = JSON.stringify(requestSchema.parse(request));
  const draft = join(folder, `${request.id}.draft`);
  writeFileSync(draft, content);
  renameSync(draft, fileOf(folder, request.id, 'request'));
}

/** Requests that no process has claimed yet. */
export function pendingFaultRequests(folder: string): FaultRequest[] {
  return readdirSync(folder).flatMap((name) => {
    if (!name.endsWith('.request')) return [];
    try {
      return [requestSchema.parse(JSON.parse(readFileSync(join(folder, name), 'utf8')))];
    } catch (error) {
      // Another process has claimed it since the folder was listed.
      if (systemCode(error) === 'ENOENT') return [];
      throw error;
    }
  });
}

/** Claims a request; returns true in exactly one process. */
export function claimFaultRequest(folder: string, { id }: FaultRequest): boolean {
  try {
    renameSync(fileOf(folder, id, 'request'), fileOf(folder, id, 'claimed'));
    return true;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
}

/** Takes back a request; returns false if a process has claimed it already. */
export function withdrawFaultRequest(folder: string, id: string): boolean {
  try {
    rmSync(fileOf(folder, id, 'request'));
    return true;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
}

export function writeFaultRecord(folder: string, id: string, record: FaultRecord): void {
  writeFileSync(fileOf(folder, id, 'record'), JSON.stringify(record));
}

/** Returns undefined until the fault has been injected. */
export function readFaultRecord(folder: string, id: string): FaultRecord | undefined {
  const file = fileOf(folder, id, 'record');
  if (!existsSync(file)) return undefined;
  const text = readFileSync(file, 'utf8');
  // The file is empty between its creation and the write.
  return text === '' ? undefined : recordSchema.parse(JSON.parse(text));
}

/** Releases the worker that is held by this request. */
export function releaseFaultRequest(folder: string, id: string): void {
  writeFileSync(fileOf(folder, id, 'released'), '');
}

export const isReleased = (folder: string, id: string): boolean => existsSync(fileOf(folder, id, 'released'));

/** Sets the time that every worker waits after each step, in milliseconds. */
export function setStepDelay(folder: string, ms: number): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'step-delay-ms'), String(ms));
}

export function readStepDelay(folder: string): number {
  const file = join(folder, 'step-delay-ms');
  return existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
}

/** Records a worker's number of tensors, for the check for leaks. */
export function writeTensorCount(folder: string, pid: number, count: number): void {
  writeFileSync(join(folder, `${pid}.tensors`), String(count));
}

export function readTensorCount(folder: string, pid: number): number | undefined {
  const file = join(folder, `${pid}.tensors`);
  return existsSync(file) ? Number(readFileSync(file, 'utf8')) || undefined : undefined;
}
