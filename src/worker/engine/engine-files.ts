/** Versions of tfjs's packages and hashes of the binaries that compute, for the fingerprint of a worker. */

import { createHash } from 'node:crypto';
import { createReadStream, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { shortHash, type Entries } from '../../shared/identity/fingerprint.js';
import { memoryPrefix, type FoundEngine } from './cache.js';
import { readManifest } from './manifest.js';
import type { Tensorflow } from './native.js';

const ownRequire = createRequire(import.meta.url);
const isBinary = /\.(node|so|dylib|dll)(\.\d+)*$/;

export function tfjsVersions(tf: Tensorflow): Entries {
  const versions = Object.entries(tf.version).filter(([, version]) => typeof version === 'string');
  return Object.fromEntries(versions.map(([name, version]) => [`${name} version`, version]));
}

/** The binaries of native TensorFlow. The manifest of a cached engine contains their hashes, which its load has verified. */
export async function nativeFiles(found: FoundEngine): Promise<Entries> {
  if (found.from === 'package') {
    const hash = createHash('sha256');
    await pipeline(createReadStream(found.binding), hash);
    return { [path.basename(found.binding)]: hash.digest('hex').slice(0, 16) };
  }
  const { files } = await readManifest(found.directory);
  // No bit depends on the addon for shared memory.
  const binaries = files.filter(
    ({ path: name }) => isBinary.test(name) && !path.basename(name).startsWith(memoryPrefix),
  );
  return Object.fromEntries(binaries.map(({ path: name, sha256 }) => [name, sha256.slice(0, 16)]));
}

/** The kernels of tfjs's WebAssembly backend. */
export function wasmFiles(): Entries {
  const name = 'tfjs-backend-wasm-simd.wasm';
  const folder = path.dirname(ownRequire.resolve('@tensorflow/tfjs-backend-wasm'));
  return { [name]: shortHash(readFileSync(path.join(folder, name))) };
}
