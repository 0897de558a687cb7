/** Protocol buffers: the message types in `proto/`. */

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import { InvariantError } from '../errors.js';

/** The repository's or the package's top, from src/shared as well as from dist/shared. */
const folder = fileURLToPath(new URL('../../../proto/', import.meta.url));

/** @param file in `proto/` @param type with its package; fields are camelCased */
export function messageType(file: string, type: string): protobuf.Type {
  const path = `${folder}${file}`;
  if (!existsSync(path)) throw new InvariantError(`the package came without proto/${file}`);
  return protobuf.loadSync(path).lookupType(type);
}
