/**
 * The safetensors format (huggingface/safetensors, README "Format"): 8 bytes of length, a JSON header, raw little-endian values.
 * Files are untrusted: every length, dtype, shape and offset is checked before any value is read.
 */

import { z } from 'zod';
import { DataError } from '../errors.js';

export type TensorValues = Float32Array | Float64Array | Int32Array | Uint8Array;

export interface NamedTensor {
  readonly shape: readonly number[];
  readonly values: TensorValues;
}

export interface Safetensors {
  readonly tensors: ReadonlyMap<string, NamedTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

const kinds = {
  F32: Float32Array,
  F64: Float64Array,
  I32: Int32Array,
  /** Never written. Read as float64; PyTorch uses it for batch counts. */
  I64: BigInt64Array,
  U8: Uint8Array,
} as const;
type Kind = keyof typeof kinds;

const lengthBytes = 8;
const maxHeaderBytes = 16 * 2 ** 20;
const alignment = 8;

const size = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const entrySchema = z.strictObject({
  dtype: z.enum(Object.keys(kinds) as [Kind, ...Kind[]]),
  shape: z.array(size).max(16),
  data_offsets: z.tuple([size, size]),
});
const headerSchema = z.record(z.string().max(1_024), z.unknown());
const metadataSchema = z.record(z.string(), z.string());

/** The bytes of the file, in one buffer. Values are copied. */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, NamedTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Buffer {
  return Buffer.concat(safetensorsParts(tensors, metadata));
}

/** The bytes of the file in consecutive pieces. The pieces of the values are views of the values' memory. */
export function safetensorsParts(
  tensors: ReadonlyMap<string, NamedTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Buffer[] {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let offset = 0;
  for (const [name, { shape, values }] of tensors) {
    const end = offset + values.byteLength;
    header[name] = { dtype: kindOf(values), shape, data_offsets: [offset, end] };
    offset = end;
  }
  const json = JSON.stringify(header);
  // The format aligns the values by spaces at the end of the header.
  const text = Buffer.from(
    json + ' '.repeat((alignment - (Buffer.byteLength(json) % alignment)) % alignment),
  );
  const length = Buffer.alloc(lengthBytes);
  length.writeBigUInt64LE(BigInt(text.length));
  const parts = [...tensors.values()].map(({ values }) =>
    Buffer.from(values.buffer, values.byteOffset, values.byteLength),
  );
  return [length, text, ...parts];
}

/**
 * @param file names the source in errors
 * @param inPlace the values are views of `bytes` if they are aligned there, and copies if they are not; otherwise always copies
 * @throws DataError with the field, what was expected and what came
 */
export function decodeSafetensors(bytes: Buffer, file: string, inPlace = false): Safetensors {
  const wrong = (expected: string, got: string): DataError =>
    new DataError(`${file}: expected ${expected}, got ${got}.`, { file, expected, got });
  if (bytes.length < lengthBytes) throw wrong('a safetensors file', `${bytes.length} bytes`);
  const headerLength = bytes.readBigUInt64LE();
  const available = Math.min(maxHeaderBytes, bytes.length - lengthBytes);
  if (headerLength > BigInt(available))
    throw wrong(`a header of at most ${available} bytes`, `${headerLength}`);
  const start = lengthBytes + Number(headerLength);
  let parsed: unknown;
  try {
    parsed = JSON.parse(bytes.toString('utf8', lengthBytes, start));
  } catch {
    throw wrong('a header in JSON', 'other text');
  }
  const header = headerSchema.safeParse(parsed);
  if (!header.success) throw wrong('an object of tensors as header', typeof parsed);
  const { __metadata__: about = {}, ...entries } = header.data;
  const metadata = metadataSchema.safeParse(about);
  if (!metadata.success) throw wrong('metadata of strings', JSON.stringify(about).slice(0, 100));
  const tensors = new Map<string, NamedTensor>();
  const dataBytes = bytes.length - start;
  let expectedOffset = 0;
  const sorted = Object.entries(entries).map(([name, value]) => {
    const entry = entrySchema.safeParse(value);
    if (!entry.success)
      throw wrong(`a tensor "${name}" of a known dtype`, JSON.stringify(value).slice(0, 200));
    return [name, entry.data] as const;
  });
  // An empty tensor has the same start as the next one and must come first.
  sorted.sort(([, { data_offsets: a }], [, { data_offsets: b }]) => a[0] - b[0] || a[1] - b[1]);
  for (const [name, { dtype, shape, data_offsets }] of sorted) {
    const [from, to] = data_offsets;
    const make = kinds[dtype];
    const elements = shape.reduce((product, extent) => product * extent, 1);
    // Tensors must be consecutive without gaps, so that no byte belongs to two tensors or to none.
    if (from !== expectedOffset || to - from !== elements * make.BYTES_PER_ELEMENT || to > dataBytes)
      throw wrong(
        `"${name}" at ${expectedOffset} with ${elements} x ${dtype}`,
        `offsets ${from} to ${to} of ${dataBytes}`,
      );
    expectedOffset = to;
    const at = bytes.byteOffset + start + from;
    const values =
      inPlace && at % make.BYTES_PER_ELEMENT === 0
        ? new make(bytes.buffer as ArrayBuffer, at, elements)
        : new make(bytes.buffer.slice(at, at + to - from) as ArrayBuffer);
    tensors.set(name, {
      shape,
      values: values instanceof BigInt64Array ? Float64Array.from(values, Number) : values,
    });
  }
  if (expectedOffset !== dataBytes) throw wrong(`${expectedOffset} bytes of values`, `${dataBytes}`);
  return { tensors, metadata: metadata.data };
}

function kindOf(values: TensorValues): Kind {
  if (values instanceof Float32Array) return 'F32';
  if (values instanceof Float64Array) return 'F64';
  return values instanceof Int32Array ? 'I32' : 'U8';
}
