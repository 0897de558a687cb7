/** The manifest of a checkpoint, which describes the run and names the state file's length and SHA-256. */

import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { manifestName, stateName } from '../artefacts/artefact.js';
import { compiledFieldsSchema, resolvedConfigSchema } from '../config/run-config.js';
import { preprocessingSchema } from '../data/preprocessing.js';
import { CheckpointError, systemCode } from '../errors.js';
import { fingerprintSchema } from '../identity/fingerprint.js';
import { maxLayers } from '../model/model-layer.js';
import { identitySchema } from '../protocol/messages.js';

/** Name of the folder of checkpoints in a run's folder. */
export const checkpointsFolder = 'checkpoints';
/** Format 1 had one tensor for all weights of one name; see `readCheckpoint`. */
export const format = 2;
const formats = [1, format] as const;
const maxManifestBytes = 64 * 2 ** 20;

/** Name of a checkpoint's folder. */
export const checkpointName = (step: number): string => `step-${String(step).padStart(9, '0')}`;
export const namePattern = /^step-(\d{9,10})$/;
/** Name of the folder of a checkpoint that is being written. */
export const partialPattern = /^step-\d{9,10}\.partial-/;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const uint32 = z.int().min(0).max(0xffffffff);
const definitionSchema = z.strictObject({ path: z.string().max(4_096), sha256 });

/** The data and the model that were trained, by name, for the comparison with those of a run that resumes. */
const originSchema = z.strictObject({
  data: z.strictObject({ name: z.string().max(1_024), trainCount: uint32, testCount: uint32 }),
  /** Class and hash of the configuration of each layer, nested models flattened; null if there is no such description. */
  layers: z
    .array(z.strictObject({ name: z.string().max(4_096), kind: z.string().max(1_024), sha256 }))
    .max(maxLayers)
    .nullable(),
});
export type Origin = Readonly<z.infer<typeof originSchema>>;

const manifestSchema = z.strictObject({
  format: z.literal(formats),
  runId: z.uuid(),
  /** The last step that is included; training continues with the next one. */
  step: uint32.min(1),
  config: resolvedConfigSchema,
  /** Choices of the definition's `model.compile`, which outrank `config`; null if there are none. */
  compiled: compiledFieldsSchema.nullable().default(null),
  definition: definitionSchema,
  layoutHash: sha256,
  dataSha256: sha256,
  /** The conversion of files to inputs and class numbers, which a resumed run keeps; null if the data need none. */
  preprocessing: preprocessingSchema.nullable().default(null),
  /** Identity of the workers that wrote it: everything besides the configuration that the bits depend on. */
  identity: identitySchema.nullable().default(null),
  origin: originSchema.nullable().default(null),
  /** Hashes of the code and the engine that wrote it; absent in checkpoints of earlier versions. */
  build: fingerprintSchema.pick({ code: true, engine: true }).optional(),
  file: z.strictObject({ name: z.literal(stateName), bytes: z.int().min(8), sha256 }),
});

export type Manifest = Readonly<z.infer<typeof manifestSchema>>;

/** The part of the manifest that does not describe the state file. */
export type CheckpointDescription = Omit<Manifest, 'format' | 'file'>;

/** @param path the checkpoint's folder @throws CheckpointError if there is no valid manifest */
export async function readManifest(path: string): Promise<Manifest> {
  const file = join(path, manifestName);
  const wrong = (got: string): CheckpointError =>
    new CheckpointError(`${file}: expected the manifest of a checkpoint, got ${got}.`, { file });
  let text: string;
  try {
    const { size } = await stat(file);
    if (size > maxManifestBytes) throw wrong(`${size} bytes`);
    text = await readFile(file, 'utf8');
  } catch (cause) {
    if (cause instanceof CheckpointError) throw cause;
    throw wrong(systemCode(cause) ?? String(cause));
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw wrong('text that is not JSON');
  }
  const parsed = manifestSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw wrong(`"${issue?.path.join('.') ?? ''}" that ${issue?.message ?? 'is wrong'}`);
}
