/** Versions of tfjs's packages and hashes of the binaries that compute, for the fingerprint of a worker. */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { sha256File } from '../../shared/files/sha256-file.js';
import { shortHash, type Entries } from '../../shared/identity/fingerprint.js';
import { memoryPrefix } from './cache.js';
import type { EngineManifest } from './manifest.js';
import type { Tensorflow } from '../../api/tensorflow.js';

const ownRequire = createRequire(import.meta.url);
const isBinary = /\.(node|so|dylib|dll)(\.\d+)*$/;

export function tfjsVersions(tf: Tensorflow): Entries {
  const versions = Object.entries(tf.version).filter(([, version]) => typeof version === 'string');
  return Object.fromEntries(versions.map(([name, version]) => [`${name} version`, version]));
}

/**
 * The binaries of native TensorFlow.
 * @param manifest of a cached engine, with hashes that its load has verified; undefined for an engine inside tfjs-node-gpu
 */
export async function nativeFiles(binding: string, manifest: EngineManifest | undefined): Promise<Entries> {
  if (!manifest) return { [path.basename(binding)]: (await sha256File(binding)).slice(0, 16) };
  // No bit depends on the addon for shared memory.
  const binaries = manifest.files.filter(
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
