/**
 * Values of single fields as text, such as `optimizer.learningRate=0.01`, for the option `--set`. The schema of the configuration
 * decides the type of each value.
 */

import { z } from 'zod';
import { ConfigError } from '../errors.js';
import { isRecord } from './is-record.js';
import { runConfigSchema } from './run-config.js';
import { suggestion } from './suggestion.js';

/** One field, or a part of one, and its value. */
export interface Assignment {
  /** Names from the field to its part, e.g. `['optimizer', 'learningRate']`. */
  readonly path: readonly string[];
  readonly value: unknown;
}

/** @throws ConfigError naming the field, the value and a remedy */
export function parseAssignment(text: string): Assignment {
  const at = text.indexOf('=');
  if (at <= 0) {
    throw new ConfigError(
      `--set: expected field=value, got "${text}". Write for example --set optimizer.learningRate=0.01.`,
    );
  }
  const field = text.slice(0, at);
  const path = field.split('.');
  return { path, value: parseValue(field, schemasAt(path), text.slice(at + 1)) };
}

/** The assignments of the field `set` of a configuration. */
export function assignmentsOf(set: Readonly<Record<string, unknown>>): Assignment[] {
  return Object.entries(set).map(([field, value]) => ({ path: field.split('.'), value }));
}

/**
 * Returns a copy of `values` with the assignments. A part of a field that has no value is assigned in the field's default. An
 * assignment of a `kind` replaces the whole object, since another kind has other fields; it is applied first.
 */
export function applyAssignments(
  values: Readonly<Record<string, unknown>>,
  assignments: readonly Assignment[],
): Record<string, unknown> {
  const isKind = ({ path }: Assignment): boolean => path.length > 1 && path.at(-1) === 'kind';
  const ordered = [
    ...assignments.filter(({ path }) => path.length === 1),
    ...assignments.filter(isKind),
    ...assignments.filter((one) => one.path.length > 1 && !isKind(one)),
  ];
  let result: unknown = { ...values };
  for (const assignment of ordered) {
    const { path, value } = assignment;
    const [field = '', ...parts] = path;
    const base = { ...(result as Record<string, unknown>) };
    if (parts.length > 0) base[field] ??= givenDefault(field);
    result = isKind(assignment) ? assignKind(base, path.slice(0, -1), value) : assign(base, path, value);
  }
  return result as Record<string, unknown>;
}

function assignKind(base: unknown, path: readonly string[], kind: unknown): unknown {
  const current = valueAt(base, path);
  const keeps = current === kind || (isRecord(current) && current['kind'] === kind);
  return keeps ? base : assign(base, path, { kind });
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (at, name) => (isRecord(at) || Array.isArray(at) ? at[name as never] : undefined),
    value,
  );
}

function assign(holder: unknown, [name, ...rest]: readonly string[], value: unknown): unknown {
  if (name === undefined) return value;
  if (Array.isArray(holder)) {
    const copy: unknown[] = [...(holder as unknown[])];
    copy[Number(name)] = assign(copy[Number(name)], rest, value);
    return copy;
  }
  // `'adam'` and `'huber'` are short for objects with this kind.
  const record = typeof holder === 'string' ? { kind: holder } : isRecord(holder) ? holder : {};
  return { ...record, [name]: assign(record[name], rest, value) };
}

/** The default of a field as its schema has it, before the defaults of its parts are filled in. */
function givenDefault(field: string): unknown {
  const schema: z.ZodType | undefined = runConfigSchema.shape[field as keyof typeof runConfigSchema.shape];
  return schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault
    ? schema.def.defaultValue
    : undefined;
}

/** Schemas that the value at the path may have: several if the field has several kinds. @throws ConfigError for an unknown field */
function schemasAt(path: readonly string[]): readonly z.ZodType[] {
  let found: readonly z.ZodType[] = [runConfigSchema];
  for (const [i, name] of path.entries()) {
    const parts = found.flatMap((schema) => partsOf(schema));
    const next = parts.filter(({ key }) => key === name || key === anyKey).map(({ schema }) => schema);
    if (next.length === 0 || name === '') throw unknownField(path, i, parts);
    found = next;
  }
  return found;
}

/** Stands for any index of a list, or any key of a record. */
const anyKey = Symbol('any');

interface Part {
  readonly key: string | typeof anyKey;
  readonly schema: z.ZodType;
}

function partsOf(schema: z.ZodType): readonly Part[] {
  return alternativesOf(schema).flatMap((one): Part[] => {
    if (one instanceof z.ZodObject)
      return Object.entries(one.shape as Record<string, z.ZodType>).map(([key, part]) => ({
        key,
        schema: part,
      }));
    if (one instanceof z.ZodArray) return [{ key: anyKey, schema: one.element as z.ZodType }];
    if (one instanceof z.ZodRecord) return [{ key: anyKey, schema: one.valueType as z.ZodType }];
    return [];
  });
}

/** The schemas of the value itself: without defaults, null and preprocessing, one for each member of a union. */
function alternativesOf(schema: z.ZodType): readonly z.ZodType[] {
  if (
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodOptional
  )
    return alternativesOf(schema.unwrap() as z.ZodType);
  if (schema instanceof z.ZodPipe) return alternativesOf(schema.out as z.ZodType);
  if (schema instanceof z.ZodUnion)
    return (schema.options as readonly z.ZodType[]).flatMap((option) => alternativesOf(option));
  return [schema];
}

function unknownField(path: readonly string[], at: number, parts: readonly Part[]): ConfigError {
  const name = path[at] ?? '';
  const above = path.slice(0, at).join('.');
  const names = [...new Set(parts.flatMap(({ key }) => (typeof key === 'string' ? [key] : [])))].sort();
  const field = path.slice(0, at + 1).join('.');
  if (names.length === 0)
    return new ConfigError(
      `--set ${field}: expected a field, but ${above} has no parts. Write --set ${above}=value.`,
    );
  const remedy =
    suggestion(name, names) ??
    (above === '' ? 'docs/configuration.md lists all fields.' : `It has ${names.join(', ')}.`);
  return new ConfigError(
    `--set ${field}: expected a field of ${above === '' ? 'the configuration' : above}, got "${name}". ${remedy}`,
  );
}

function parseValue(field: string, schemas: readonly z.ZodType[], text: string): unknown {
  const json = parseJson(text);
  // A text comes before numbers, so that a name such as 5 stays a text.
  const candidates: readonly unknown[] =
    json === undefined ? [text] : json === null ? [null, text] : [text, json];
  for (const value of candidates) if (schemas.some((schema) => schema.safeParse(value).success)) return value;
  throw new ConfigError(`--set ${field}: ${expectation(field, schemas, text, json)}`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** The end of the message about a value that no schema accepts. */
function expectation(field: string, schemas: readonly z.ZodType[], text: string, json: unknown): string {
  const got = `got "${text.slice(0, 80)}"`;
  const all = schemas.flatMap(alternativesOf);
  const choices = all.flatMap((one) =>
    one instanceof z.ZodEnum
      ? one.options.map(String)
      : one instanceof z.ZodLiteral
        ? [...one.values].map(String)
        : [],
  );
  const [first = z.unknown()] = all;
  const example = schemas
    .map((schema) => schema.safeParse(undefined).data)
    .find((value) => value !== undefined);
  const remedy =
    example === undefined || example === null ? '' : ` The default is ${JSON.stringify(example)}.`;
  if (first instanceof z.ZodNumber && typeof json !== 'number') return `expected a number, ${got}.${remedy}`;
  if (first instanceof z.ZodBoolean) return `expected true or false, ${got}.${remedy}`;
  if (all.every((one) => one instanceof z.ZodEnum || one instanceof z.ZodLiteral))
    return `expected one of ${[...new Set(choices)].join(', ')}, ${got}.`;
  const isStructure = all.some((one) => one instanceof z.ZodObject || one instanceof z.ZodArray);
  if (isStructure && json === undefined) {
    const isList = all.some((one) => one instanceof z.ZodArray);
    const list = JSON.stringify(text.split(',').map((part) => part.trim()));
    const quoted = isList ? `Write a list as --set '${field}=${list}'.` : 'Quote it for the shell.';
    return `expected ${choices.length > 0 ? `${[...new Set(choices)].join(', ')} or ` : ''}JSON, ${got}.${remedy} ${quoted}`;
  }
  const value = all.every((one) => one instanceof z.ZodString) ? text : (json ?? text);
  const issue = schemas
    .map((schema) => schema.safeParse(value).error?.issues[0])
    .find((one) => one !== undefined);
  const part = (issue?.path ?? []).map(String).join('.');
  return `${part === '' ? '' : `${part}: `}${issue?.message ?? 'not valid'}; ${got}.${remedy}`;
}
