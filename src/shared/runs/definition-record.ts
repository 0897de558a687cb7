/**
 * The record of a run's training definition, `definition/definition.json` in the run's folder: which files belong to it, and what it
 * evaluated to. It never holds the environment. Another program may have written it, so it is read through its schema.
 */

import { z } from 'zod';

/** Folder of the copy, in a run's folder. */
export const definitionFolder = 'definition';
export const recordName = 'definition.json';
/** Folder of the copied files, in `definitionFolder`. */
export const filesFolder = 'files';

export const maxDefinitionFiles = 2_000;
export const maxDefinitionBytes = 32 * 2 ** 20;
/** The record itself may list long file names and hold long lists of values. */
export const maxRecordBytes = 16 * 2 ** 20;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
/** Path below `filesFolder`, with slashes; never one that leads out of it. */
export const relativePathSchema = z
  .string()
  .min(1)
  .max(4_096)
  .refine(
    (path) => !path.startsWith('/') && path.split('/').every((part) => part !== '..' && part !== ''),
    'must be a path below the folder',
  );
const name = relativePathSchema;
const path = z.string().min(1).max(4_096);

export const definitionRecordSchema = z.strictObject({
  format: z.literal(1),
  /** Path of the definition from which the copy was made. */
  path,
  /** Working folder of the run, to which relative paths in the definition refer. */
  workingFolder: path,
  /** Hash of the definition's own file. */
  sha256,
  /** The definition among `files`. */
  entry: name,
  /** Folder to which the names of `files` refer. */
  root: path,
  files: z.array(z.strictObject({ name, bytes: z.int().min(0), sha256 })).max(maxDefinitionFiles),
  /** Names under which a file is imported through a symbolic link. */
  links: z.array(z.strictObject({ name, target: name })).max(maxDefinitionFiles),
  /** Imported packages, which are not copied. */
  packages: z.array(z.string().min(1).max(1_024)).max(maxDefinitionFiles),
  /** The reason why the copy has no files; null if it is complete. */
  incomplete: z.string().max(4_096).nullable(),
  /** The plain values that the definition evaluated to; functions are `custom`. */
  values: z.record(z.string(), z.unknown()),
  /** True if the definition has a data source of its own, which is no plain value. */
  hasSource: z.boolean(),
  /** Hashes of the sources of functions by name, e.g. `loss` or `augment 1`. */
  functions: z.record(z.string(), sha256),
});

export type DefinitionRecord = Readonly<z.infer<typeof definitionRecordSchema>>;
