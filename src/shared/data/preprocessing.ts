/** The conversion of files to a model's inputs, as data that is saved with the model, so that `eval` and `predict` do the same. */

import { z } from 'zod';
import type { Normalization } from './normalize.js';

/** Limit of the size as JSON. The coordinator sends it to the workers of a resumed run, in a message that is limited to 1 MiB. */
export const maxPreprocessingBytes = 512 * 1024;

/** Size as JSON. */
export function jsonBytes(value: Preprocessing | ColumnEncoding): number {
  return Buffer.byteLength(JSON.stringify(value));
}

const picturesSchema = z.strictObject({
  kind: z.literal('pictures'),
  height: z.int().min(1).max(65_536),
  width: z.int().min(1).max(65_536),
  channels: z.union([z.literal(1), z.literal(3)]),
  /** Colour behind transparent pixels. */
  background: z.string().regex(/^#[0-9a-f]{6}$/i),
  normalize: z.strictObject({ mean: z.number(), std: z.number().positive() }),
  /** Class names in order of class number. */
  classNames: z.array(z.string()).min(1),
});

const columnSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('number'),
    name: z.string(),
    mean: z.number(),
    deviation: z.number().positive(),
    /** Replacement of a missing value. */
    fill: z.number().nullable(),
  }),
  z.strictObject({
    kind: z.literal('category'),
    name: z.string(),
    /** The categories; a category's class number is its position. */
    values: z.array(z.string()).min(1),
    fill: z.string().nullable(),
  }),
]);

export const textEncodings = ['utf-8', 'utf-16le', 'utf-16be', 'windows-1252', 'latin1'] as const;
export type TextEncoding = (typeof textEncodings)[number];

const columnNames = z.array(z.string());

/** The way in which a table's files are read, for predictions from other files. */
const readingSchema = z.strictObject({
  version: z.literal(1),
  /** Columns of each input of the model, in order. */
  inputs: z.array(columnNames.min(1)).min(1),
  /** One column per output of the model, in order. */
  targets: columnNames.min(1),
  delimiter: z.string().min(1),
  decimal: z.enum(['.', ',']),
  /** null: UTF-8, or UTF-16 with a byte order mark. */
  encoding: z.enum(textEncodings).nullable(),
  /** Columns that are declared as categories: only an empty cell is missing in them. */
  categories: columnNames,
  /** Columns without a value in which a row is left out. */
  dropRow: columnNames,
});

const tableSchema = z
  .strictObject({
    kind: z.literal('table'),
    /** The encodings of the columns, derived from the training rows. */
    columns: z.array(columnSchema),
    /** Absent if the model was saved before this was saved. */
    reading: readingSchema.optional(),
  })
  .refine(({ columns, reading }) => {
    const encoded = new Set(columns.map(({ name }) => name));
    return [...(reading?.inputs.flat() ?? []), ...(reading?.targets ?? [])].every((name) =>
      encoded.has(name),
    );
  }, 'must have an encoding for each column that is read');

export const preprocessingSchema = z.discriminatedUnion('kind', [picturesSchema, tableSchema]);

export type PicturePreprocessing = Readonly<z.infer<typeof picturesSchema>>;
export type TablePreprocessing = Readonly<z.infer<typeof tableSchema>>;
export type ColumnEncoding = Readonly<z.infer<typeof columnSchema>>;
export type Preprocessing = PicturePreprocessing | TablePreprocessing;

/** Returns the normalization with which a model was trained: that of its own pictures, or else that of the configuration. */
export function normalizationOf(
  config: { readonly normalize: Normalization },
  preprocessing: Preprocessing | undefined,
): Normalization {
  return preprocessing?.kind === 'pictures' ? preprocessing.normalize : config.normalize;
}
