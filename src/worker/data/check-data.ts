/** Validates the result of a data source, since a definition in JavaScript is not type-checked. */

import { z } from 'zod';
import { DataError } from '../../shared/errors.js';
import type { SourceData } from '../../shared/data/training-data.js';

const specSchema = z
  .looseObject({
    shape: z
      .array(
        z
          .int()
          .min(1)
          .max(2 ** 31),
      )
      .max(8),
    dtype: z.enum(['float32', 'int32']),
    classes: z.int().min(1).optional(),
    classNames: z.array(z.string()).optional(),
    background: z.number().optional(),
  })
  .refine(({ classes, classNames }) => classNames === undefined || classNames.length === classes, {
    path: ['classNames'],
    error: 'must be as many names as there are classes',
  });
const splitSchema = z.looseObject({
  count: z
    .int()
    .min(1)
    .max(2 ** 31),
  inputs: z.array(specSchema).min(1).max(256),
  targets: z.array(specSchema).min(1).max(256),
  fill: z.custom((value) => typeof value === 'function', 'must be a function'),
  verified: z.literal(true).optional(),
  origin: z
    .custom((value) => value === undefined || typeof value === 'function', 'must be a function')
    .optional(),
});
const dataSchema = z.looseObject({
  name: z.string().min(1).max(256),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 hex digits'),
  train: splitSchema,
  test: splitSchema.optional(),
  notes: z.array(z.string()).optional(),
});

/** Returns `data` itself. @throws DataError naming the first invalid field */
export function checkData<Data extends SourceData>(data: Data): Data {
  const parsed = dataSchema.safeParse(data);
  if (parsed.success) return data;
  const [issue] = parsed.error.issues;
  const field = issue?.path.join('.') ?? '';
  throw new DataError(
    `Data source: expected { name, sha256, train, test? } as DataSource describes it, got at "${field}": ` +
      `${issue?.message ?? 'something else'}. See docs/own-model.md.`,
    { field },
  );
}
