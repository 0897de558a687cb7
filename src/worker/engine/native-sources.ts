/** Lockstep's own C++ sources: their paths, and the hash that identifies a binding compiled from them. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** `native/` of the repository or the package; the path is valid from src/worker/engine and from dist/worker/engine. */
const folder = fileURLToPath(new URL('../../../native/', import.meta.url));

/** Paths of all sources and headers, sorted; empty if the package contains none. */
function files(): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => /\.(cc|h)$/.test(name))
    .sort()
    .map((name) => path.join(folder, name));
}

/** Paths of the sources whose name matches; empty if the package contains none. */
function sources(name: RegExp): string[] {
  return files().filter((file) => name.test(path.basename(file)));
}

/** Sources of the TensorFlow ops, which are compiled into tfjs-node's binding. */
export const opSources = (): string[] => sources(/_ops\.cc$/);
/** Sources of the Node-API addon, which does not depend on TensorFlow. */
export const addonSources = (): string[] => sources(/^(addon|array_functions|shared_memory|signals)\.cc$/);

/** The first twelve hex digits of the SHA-256 of all sources and headers. */
export function nativeHash(): string {
  const hash = createHash('sha256');
  for (const file of files()) hash.update(readFileSync(file));
  return hash.digest('hex').slice(0, 12);
}
