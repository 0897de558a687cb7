/**
 * The ledger's entries, as workers send them and as `ledger.ndjson` stores them, one JSON object per line. A shard's entry
 * does not depend on its owner, so runs with different numbers of workers can be compared.
 */

import { z } from 'zod';

export const ledgerName = 'ledger.ndjson';

const uint32 = z.int().min(0).max(0xffff_ffff);
const hex = z
  .string()
  .max(2 ** 19)
  .regex(/^(?:[0-9a-f]{16})*$/, 'must be hashes of 16 hex digits');

export const ledgerEntrySchema = z.discriminatedUnion('type', [
  /**
   * The trainable parameters' names, in the order of the hashes, and how many workers the steps are by. Once a worker, before
   * its first step.
   */
  z.strictObject({
    type: z.literal('parameters'),
    names: z.array(z.string().max(256)).max(32_768),
    workers: uint32.min(1),
  }),
  /** A shard's contribution to a step: its part of the loss, and a hash of each parameter's gradient. */
  z.strictObject({
    type: z.literal('shard'),
    step: uint32,
    shard: uint32,
    loss: z.number(),
    gradients: hex,
  }),
  /** One worker's state after a step: a hash of each trainable parameter, then one of the statistics. */
  z.strictObject({ type: z.literal('weights'), step: uint32, rank: uint32, hash: hex }),
]);

export type LedgerEntry = z.infer<typeof ledgerEntrySchema>;

/**
 * A line of the file: an entry, or a gap of so many entries that could not be written. The line before a gap may be incomplete. No
 * worker sends a gap.
 */
export const ledgerLineSchema = z.discriminatedUnion('type', [
  ...ledgerEntrySchema.options,
  z.strictObject({ type: z.literal('gap'), entries: uint32, fromMs: z.number().nullable() }),
]);

export type LedgerLine = z.infer<typeof ledgerLineSchema>;
