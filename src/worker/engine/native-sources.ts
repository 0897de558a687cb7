/** Finds Lockstep's own C++ sources and hashes them, to detect whether a compiled binding is up to date. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** Folder `native`, with the same relative path from src/worker/engine and dist/worker/engine. */
const folder = fileURLToPath(new URL('../../../native/', import.meta.url));

/** Lists sources and headers, sorted; empty if the package does not contain them. */
function files(): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => /\.(cc|h)$/.test(name))
    .sort()
    .map((name) => path.join(folder, name));
}

/** Returns the paths of the sources with these names; none if the package does not contain them. */
function sources(...names: readonly string[]): string[] {
  return files().filter((file) => names.includes(path.basename(file)));
}

/** Sources that are compiled into tfjs-node's binding. */
export const opSources = (): string[] => sources('lockstep_ops.cc', 'product_ops.cc');
/** Sources that are compiled into a separate addon. */
export const memorySources = (): string[] => sources('shared_memory.cc');

/** Returns twelve hex digits that change with the sources. */
export function nativeHash(): string {
  const hash = createHash('sha256');
  for (const file of files()) hash.update(readFileSync(file));
  return hash.digest('hex').slice(0, 12);
}
