/** The fields of the configuration as a list, with what their schemas and their metadata state about each. */

import { z } from 'zod';
import { InvariantError } from '../errors.js';
import { fieldMetadata, type FieldMetadata } from './field-metadata.js';
import { fieldGroups, runConfigSchema, type ConfigField } from './run-config.js';

export interface FieldDescription extends FieldMetadata {
  readonly name: ConfigField;
  readonly group: string;
  /** `structure` is anything that is set in a training definition only. */
  readonly type: 'number' | 'boolean' | 'text' | 'structure';
  /** The permitted values if there are a few. */
  readonly choices: readonly string[] | undefined;
  /** The default as JSON, or in words if the schema's default is null. */
  readonly defaultText: string;
  readonly defaultInWords: boolean;
}

const defaults = runConfigSchema.parse({});

/** All fields, group by group. */
export const configFields: readonly FieldDescription[] = Object.entries(fieldGroups).flatMap(
  ([group, fields]) =>
    Object.entries<z.ZodType>(fields).map(([name, schema]) => describe(name as ConfigField, group, schema)),
);

function describe(name: ConfigField, group: string, schema: z.ZodType): FieldDescription {
  const metadata = fieldMetadata.get(schema);
  if (metadata === undefined)
    throw new InvariantError(`Field ${name}: expected metadata in fieldMetadata, got none.`);
  const value = withoutWrappers(schema);
  const json = JSON.stringify(defaults[name]).replaceAll(/^"|"$/g, '');
  return {
    ...metadata,
    name,
    group,
    type: typeOf(value),
    choices: value instanceof z.ZodEnum ? value.options.map(String) : undefined,
    defaultText: metadata.defaultText ?? json,
    defaultInWords: metadata.defaultText !== undefined,
  };
}

function typeOf(value: z.ZodType): FieldDescription['type'] {
  if (value instanceof z.ZodNumber) return 'number';
  if (value instanceof z.ZodBoolean) return 'boolean';
  return value instanceof z.ZodString || value instanceof z.ZodEnum ? 'text' : 'structure';
}

/** Returns the schema of the value itself, without its default and without null. */
function withoutWrappers(schema: z.ZodType): z.ZodType {
  const isWrapper =
    schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodNullable;
  return isWrapper ? withoutWrappers(schema.unwrap() as z.ZodType) : schema;
}
