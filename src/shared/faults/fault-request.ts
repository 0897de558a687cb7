/**
 * Faults that are asked for, by `lockstep chaos` and by tests: what an order says, and the folder through which it reaches the one
 * process that carries it out. Each order is carried out once in a run: whoever renames its file has it, and no process that comes
 * later finds it again. What was carried out is written down, so that a fault that never happened can't pass for one survived.
 */

import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { systemCode } from '../errors.js';

/** Where in a worker's life a fault can be asked for. */
export const faultPoints = [
  /** Loaded, not yet ready. */
  'join',
  /** The plan has come; the others haven't heard so. */
  'meeting',
  /** While a state goes to those that are behind. */
  'catch-up',
  'bn-forward',
  'bn-backward',
  /** A bucket of gradients is about to leave. */
  'reduce',
  /** Between the running statistics' update and the optimizer's. */
  'apply',
  /** The step is done; nobody has been told. */
  'commit',
  /** Written beside the last, not yet renamed. */
  'checkpoint',
  /** Its generation has ended; it hasn't said where it stands. */
  'recovery',
] as const;
export type FaultPoint = (typeof faultPoints)[number];

/** Of one link of a worker. `delay`: what it sends waits. `partition`: both ways, then everything arrives. */
export const linkFaults = ['drop', 'delay', 'duplicate', 'corrupt', 'partition'] as const;
export type LinkFaultKind = (typeof linkFaults)[number];

const orderSchema = z.strictObject({
  id: z.string().regex(/^[\w-]{1,64}$/),
  /** `hold`: the worker waits at the point until the one who asked says that it is done. */
  kind: z.enum(['kill', 'stop', 'hold', ...linkFaults]),
  point: z.enum(faultPoints),
  /** Not before this step. */
  step: z.int().min(0).default(0),
  /** Whose; null: of whoever comes first. */
  rank: z.int().min(0).nullable().default(null),
  /** So often it passes the point before. */
  skip: z.int().min(0).default(0),
  /** How long a link is disturbed. */
  ms: z.int().min(0).max(600_000).default(0),
  /** The other end: so many ranks further on, or the coordinator. */
  link: z.union([z.int().min(0), z.literal('coordinator')]).default(0),
  /** Not before that order was carried out. */
  after: z.string().nullable().default(null),
});
export type FaultRequest = Readonly<z.infer<typeof orderSchema>>;
export type FaultRequestInput = z.input<typeof orderSchema>;

const firedSchema = z.object({
  atMs: z.number(),
  pid: z.int(),
  point: z.string(),
  step: z.int(),
  rank: z.int().nullable(),
});
/** That an order was carried out: when (milliseconds since 1970), by whom, and where it was. */
export type FaultRecord = Readonly<z.infer<typeof firedSchema>>;

export const injectedOrders = /^orders:(.{1,4000})$/;

const fileOf = (folder: string, id: string, state: 'order' | 'claimed' | 'fired' | 'done'): string =>
  join(folder, `${id}.${state}`);

export function requestFault(folder: string, order: FaultRequestInput): void {
  mkdirSync(folder, { recursive: true });
  const draft = join(folder, `${order.id}.draft`);
  writeFileSync(draft, JSON.stringify(orderSchema.parse(order)));
  renameSync(draft, fileOf(folder, order.id, 'order'));
}

/** Those that nobody has carried out yet. */
export function pendingFaultRequests(folder: string): FaultRequest[] {
  return readdirSync(folder).flatMap((name) => {
    if (!name.endsWith('.order')) return [];
    try {
      return [orderSchema.parse(JSON.parse(readFileSync(join(folder, name), 'utf8')))];
    } catch (error) {
      // Another process took it meanwhile.
      if (systemCode(error) === 'ENOENT') return [];
      throw error;
    }
  });
}

/** True for one process alone. */
export function claimFaultRequest(folder: string, { id }: FaultRequest): boolean {
  try {
    renameSync(fileOf(folder, id, 'order'), fileOf(folder, id, 'claimed'));
    return true;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
}

export function writeFaultRecord(folder: string, id: string, fired: FaultRecord): void {
  writeFileSync(fileOf(folder, id, 'fired'), JSON.stringify(fired));
}

/** Undefined until the order has been carried out. */
export function readFaultRecord(folder: string, id: string): FaultRecord | undefined {
  const file = fileOf(folder, id, 'fired');
  if (!existsSync(file)) return undefined;
  const text = readFileSync(file, 'utf8');
  // Between its making and its writing it is empty.
  return text === '' ? undefined : firedSchema.parse(JSON.parse(text));
}

/** Lets go of the worker that holds at that order's point. */
export function releaseFaultRequest(folder: string, id: string): void {
  writeFileSync(fileOf(folder, id, 'done'), '');
}

export const isReleased = (folder: string, id: string): boolean => existsSync(fileOf(folder, id, 'done'));

/** Milliseconds that every worker waits after each step. */
export function setStepDelay(folder: string, ms: number): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'pace'), String(ms));
}

export function readStepDelay(folder: string): number {
  const file = join(folder, 'pace');
  return existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
}

/** How many tensors a worker has, for whoever watches for leaks. */
export function writeTensorCount(folder: string, pid: number, count: number): void {
  writeFileSync(join(folder, `${pid}.tensors`), String(count));
}

export function readTensorCount(folder: string, pid: number): number | undefined {
  const file = join(folder, `${pid}.tensors`);
  return existsSync(file) ? Number(readFileSync(file, 'utf8')) || undefined : undefined;
}
