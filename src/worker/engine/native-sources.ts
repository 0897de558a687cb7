/** Lockstep's own C++ sources: where they are, and the hash that says whether a compiled binding is of them. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's or the package's top, from src/worker/engine as well as from dist/worker/engine. */
const folder = fileURLToPath(new URL('../../../native/', import.meta.url));

/** Sources and headers, sorted; empty where the package came without them. */
function files(): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => /\.(cc|h)$/.test(name))
    .sort()
    .map((name) => path.join(folder, name));
}

/** The sources called so, as paths; none where the package came without them. */
function sources(...names: readonly string[]): string[] {
  return files().filter((file) => names.includes(path.basename(file)));
}

/** What is compiled into tfjs-node's binding. */
export const opSources = (): string[] => sources('lockstep_ops.cc', 'product_ops.cc');
/** What is compiled into an addon of its own. */
export const memorySources = (): string[] => sources('shared_memory.cc');

/** Twelve hex digits that change with the sources. */
export function nativeHash(): string {
  const hash = createHash('sha256');
  for (const file of files()) hash.update(readFileSync(file));
  return hash.digest('hex').slice(0, 12);
}
