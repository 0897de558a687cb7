/**
 * The messages of a transfer of files between a worker and the coordinator, most of which both sides send, and the parts that they share
 * with other messages.
 */

import { stopNotices } from '../exit-status.js';
import { z } from 'zod';
import { artefactSchema, pieceRequestSchema, pieceSchema } from '../artefacts/artefact.js';
import { folderProofSchema } from '../artefacts/folder-proof.js';
import { errorCodes } from '../errors.js';
import { printableLines } from './printable.js';

/** A signal by which a scheduler announces that it takes the machine away. */
export const stopNoticeSchema = z.enum(stopNotices);

/** Lines that are printed, so they contain no control characters once they have been parsed. */
export const textSchema = z
  .string()
  .max(16_384)
  .overwrite((lines) => printableLines(lines));

export const wireErrorSchema = z.strictObject({
  code: z.enum([...errorCodes, 'INVARIANT']),
  message: textSchema,
});

/** The proof of the run's folder; null or absent: the run has no folder. */
export const folderSchema = folderProofSchema.nullable().optional();

/** The transfer's id, which the worker chooses. */
const transfer = z.uuid();

/** The files that the sender has; the receiver asks for pieces of them. */
const offerSchema = z.strictObject({ type: z.literal('offer'), transfer, artefact: artefactSchema });
/** Asks for the files of the checkpoint from which the plan continues; answered by `offer` or `withdraw`. */
const fetchSchema = z.strictObject({
  type: z.literal('fetch'),
  transfer,
  step: z.int().min(0).max(0xffffffff),
});
const wantSchema = pieceRequestSchema.extend({ type: z.literal('want'), transfer });
const sentPieceSchema = pieceSchema.extend({ type: z.literal('piece'), transfer });
/** The sender gives the transfer up. */
const withdrawSchema = z.strictObject({ type: z.literal('withdraw'), transfer, error: wireErrorSchema });
/** The offered files are in the run's folder, at this path. */
const storedSchema = z.strictObject({
  type: z.literal('stored'),
  transfer,
  path: z.string().max(4_096),
});

export const workerTransferSchemas = [
  offerSchema,
  fetchSchema,
  wantSchema,
  sentPieceSchema,
  withdrawSchema,
] as const;

export const coordinatorTransferSchemas = [
  offerSchema,
  wantSchema,
  sentPieceSchema,
  withdrawSchema,
  storedSchema,
] as const;
