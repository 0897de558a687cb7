/** Loads the protocol buffer message types in `proto/`. */

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import { InvariantError } from '../errors.js';

/** The folder `proto/` of the repository or package; resolves from src/shared/files and from dist/shared/files. */
const folder = fileURLToPath(new URL('../../../proto/', import.meta.url));

/**
 * @param file name of a file in `proto/`
 * @param type name of the message type with its package; its fields are in camelCase
 */
export function messageType(file: string, type: string): protobuf.Type {
  const path = `${folder}${file}`;
  if (!existsSync(path)) throw new InvariantError(`the package came without proto/${file}`);
  return protobuf.loadSync(path).lookupType(type);
}
