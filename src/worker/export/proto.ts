/** Protocol buffers: the message types in `proto/`, and plain objects to bytes. */

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import { InvariantError, ModelError } from '../../shared/errors.js';

/** The repository's or the package's top, from src/worker/export as well as from dist/worker/export. */
const folder = fileURLToPath(new URL('../../../proto/', import.meta.url));

/** No protocol buffer may be longer. */
const longestBytes = 2 ** 31 - 1;

/** @param message field names as in the file, camelCased. @throws ModelError when it would be too long for the format */
export function encodeMessage(file: string, type: string, message: object): Buffer {
  if (!existsSync(`${folder}${file}`)) throw new InvariantError(`the package came without proto/${file}`);
  const lookedUp = protobuf.loadSync(`${folder}${file}`).lookupType(type);
  const wrong = lookedUp.verify(message);
  if (wrong !== null) throw new InvariantError(`${type}: ${wrong}`);
  const bytes = lookedUp.encode(message).finish();
  if (bytes.length > longestBytes)
    throw new ModelError(
      `Export: expected at most 2 GiB in one file, got ${bytes.length} bytes. Use --format safetensors.`,
    );
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
