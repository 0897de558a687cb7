/**
 * Artefacts: the checkpoints and the model of a run, which belong into the run's folder on the coordinator's machine. A worker that does
 * not share this folder exchanges them with the coordinator: the receiver asks for pieces of bounded size. Names are chosen from a fixed
 * list, so nothing that a peer sends becomes a part of a path.
 */

import { createHash } from 'node:crypto';
import { z } from 'zod';
import { mostParameterVectors } from '../model/named-vectors.js';

/** Length of a piece in bytes; the last piece of a file is shorter. Four pieces take 0.9 s on a link of 10 Mbit/s. */
export const pieceBytes = 256 * 1024;
/** Number of pieces that a receiver has asked for and that are not on its disk yet. */
export const piecesInFlight = 4;

export const stateName = 'state.safetensors';
export const manifestName = 'manifest.json';
/** Name of the model's folder in a run's folder. */
export const modelFolder = 'model';
export const topologyName = 'model.json';
export const weightsName = 'weights.bin';
export const preprocessingName = 'preprocessing.json';
/** Name of the configuration beside the model of a definition that compiles it: its loss and metrics are those of evaluations. */
export const compiledName = 'compiled.json';

/** The files of each kind, in the order in which they are sent. */
const filesOf = {
  checkpoint: { required: [manifestName, stateName], optional: [] },
  model: { required: [topologyName, weightsName], optional: [preprocessingName, compiledName] },
} as const;
export type ArtefactKind = keyof typeof filesOf;
const kinds = ['checkpoint', 'model'] as const satisfies readonly ArtefactKind[];

const fileNames = [
  manifestName,
  stateName,
  topologyName,
  weightsName,
  preprocessingName,
  compiledName,
] as const;
export type ArtefactFileName = (typeof fileNames)[number];

/** The names that an artefact of this kind may have, in the order in which they are sent. */
export function namesOf(kind: ArtefactKind): readonly ArtefactFileName[] {
  return [...filesOf[kind].required, ...filesOf[kind].optional];
}

const artefactFileSchema = z.strictObject({
  name: z.enum(fileNames),
  bytes: z.int().min(0).max(Number.MAX_SAFE_INTEGER),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type ArtefactFile = Readonly<z.infer<typeof artefactFileSchema>>;

export const artefactSchema = z
  .strictObject({
    kind: z.enum(kinds),
    /** The step after which it was written. */
    step: z.int().min(0).max(0xffffffff),
    files: z.array(artefactFileSchema).min(1).max(fileNames.length),
  })
  .refine(hasItsFiles, 'must have the files of its kind, each once');
export type Artefact = Readonly<z.infer<typeof artefactSchema>>;

function hasItsFiles({ kind, files }: { kind: ArtefactKind; files: readonly ArtefactFile[] }): boolean {
  const names = files.map(({ name }) => name);
  const required: readonly string[] = filesOf[kind].required;
  return (
    new Set(names).size === names.length &&
    required.every((name) => names.some((given) => given === name)) &&
    names.every((name) => namesOf(kind).includes(name))
  );
}

/** 16 characters that identify the contents: the same artefact of two workers has the same. */
export function contentOf({ kind, step, files }: Artefact): string {
  const canonical = [kind, step, files.map(({ name, bytes, sha256 }) => [name, bytes, sha256])];
  return createHash('sha256').update(JSON.stringify(canonical)).digest('hex').slice(0, 16);
}

export const totalBytes = ({ files }: Pick<Artefact, 'files'>): number =>
  files.reduce((sum, { bytes }) => sum + bytes, 0);

/** Longest manifest, topology, names and headers together. */
const descriptionBytes = 64 * 2 ** 20;

/** The largest artefact of a model. @param parameterCount number of the model's weights */
export function mostBytes(parameterCount: number): number {
  return parameterCount * 4 * mostParameterVectors + descriptionBytes;
}

/** The position of a piece; `length` follows from the size of the file. */
export const pieceRequestSchema = z.strictObject({
  /** Index in the artefact's list of files. */
  file: z
    .int()
    .min(0)
    .max(fileNames.length - 1),
  offset: z.int().min(0).max(Number.MAX_SAFE_INTEGER),
});
export type PieceRequest = Readonly<z.infer<typeof pieceRequestSchema>>;

export const pieceSchema = pieceRequestSchema.extend({
  bytes: z.custom<Uint8Array>(
    (value) => value instanceof Uint8Array && value.length > 0 && value.length <= pieceBytes,
    `must be 1 to ${pieceBytes} bytes`,
  ),
  /** CRC-32 of `bytes`. */
  checksum: z.int().min(0).max(0xffffffff),
});
export type Piece = Readonly<z.infer<typeof pieceSchema>>;

/** The length of the piece at an offset of a file; 0 or less if the offset is not that of a piece. */
export function lengthOfPiece({ bytes }: ArtefactFile, offset: number): number {
  return Math.min(pieceBytes, bytes - offset);
}
