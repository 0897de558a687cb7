/** Reads samples for predictions from a JSON file: a list, or one JSON value per line. */

import { readFile } from 'node:fs/promises';
import { isRecord } from '../../shared/config/is-record.js';
import { DataError, systemCode } from '../../shared/errors.js';

/** Returns true for the name of a file with JSON. */
export const isJsonFile = (name: string): boolean => /\.(json|jsonl|ndjson)$/i.test(name);

export interface JsonInput {
  readonly name: string;
  /** Shape of one sample; null for a size that each sample has of its own. */
  readonly shape: readonly (number | null)[];
}

export interface JsonSample {
  /** Values of each input, flat, and their shape. */
  readonly inputs: readonly { readonly values: readonly number[]; readonly shape: readonly number[] }[];
  /** The class that the file states, or its name; undefined if it states none. */
  readonly label: number | string | undefined;
}

/**
 * A sample is the value of the model's input as nested lists or as one flat list, `{ "inputs": ..., "label": 3 }`, or, for several
 * inputs, a list or an object with one value per input.
 * @throws DataError naming the file and the sample
 */
export async function readJsonSamples(path: string, inputs: readonly JsonInput[]): Promise<JsonSample[]> {
  const list = await readJsonList(path);
  return list.map((value, i) => sampleOf(value, inputs, `${path}, sample ${i + 1}`));
}

/** The values of a JSON list, or of a file with one JSON value per line. @throws DataError */
export async function readJsonList(path: string): Promise<readonly unknown[]> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new DataError(`${path} can't be read (${systemCode(cause) ?? 'unknown error'}).`, { path }, cause);
  });
  return listOf(path, text);
}

function listOf(path: string, text: string): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? (value as unknown[]) : [value];
  } catch {
    const lines = text.split('\n').filter((line) => line.trim() !== '');
    return lines.map((line, i): unknown => {
      try {
        return JSON.parse(line);
      } catch (cause) {
        throw new DataError(
          `${path}: expected a JSON list of samples, or one JSON value per line, got other text in line ${i + 1}.`,
          { path },
          cause,
        );
      }
    });
  }
}

function sampleOf(value: unknown, inputs: readonly JsonInput[], place: string): JsonSample {
  const isWrapped = isRecord(value) && 'inputs' in value;
  const given = isWrapped ? value['inputs'] : value;
  const label = isWrapped ? value['label'] : undefined;
  if (
    label !== undefined &&
    typeof label !== 'string' &&
    !(typeof label === 'number' && Number.isInteger(label))
  )
    throw new DataError(
      `${place}: expected a class number or a class name as its label, got ${JSON.stringify(label)}.`,
    );
  const parts = inputs.map((input, i): unknown => {
    if (inputs.length === 1 && !isRecord(given)) return given;
    return isRecord(given) ? given[input.name] : Array.isArray(given) ? (given as unknown[])[i] : undefined;
  });
  return { inputs: parts.map((part, i) => inputOf(part, inputs[i] as JsonInput, place)), label };
}

function inputOf(value: unknown, { name, shape }: JsonInput, place: string) {
  const values = flatten(value);
  const own = shapeOf(value);
  const known = shape.filter((size) => size !== null).reduce((product, size) => product * size, 1);
  const open = shape.filter((size) => size === null).length;
  const fits =
    own.length === shape.length
      ? shape.every((size, i) => size === null || size === own[i])
      : open === 0 && own.length <= 1;
  const isNumeric = values.every((one) => typeof one === 'number' && Number.isFinite(one));
  if (!isNumeric || !fits || (open === 0 && values.length !== known)) {
    const expected = shape.map((size) => size ?? 'any').join(' x ') || 'one';
    const got =
      value === undefined ? 'nothing' : isNumeric ? own.join(' x ') || 'one number' : 'other values';
    throw new DataError(
      `${place}: expected ${expected} numbers for the input "${name}", got ${got}. Write them as nested lists or as one flat list.`,
    );
  }
  return { values: values as number[], shape: open === 0 ? shape.map(Number) : own };
}

function flatten(value: unknown): unknown[] {
  return Array.isArray(value) ? (value as unknown[]).flatMap(flatten) : [value];
}

/** The sizes of nested lists along their first elements. */
function shapeOf(value: unknown): number[] {
  return Array.isArray(value) ? [value.length, ...shapeOf((value as unknown[])[0])] : [];
}
