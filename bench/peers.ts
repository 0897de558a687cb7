/** Runs the programs of bench/peers, with which the benchmarks compare Lockstep, each at its best setting. */

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export type Peer = 'torch' | 'jax' | 'tensorflow';

export interface PeerResult {
  /** Median rate in samples per second, over all processes. */
  readonly imagesPerSecond: number;
  /** Multiplications and additions of matrix products and convolutions, forward and backward; reported by torch_train.py alone. */
  readonly flopsPerSample?: number;
  readonly version: string;
}

/** Path of a Python with the peers' packages. */
export const python = process.env['LOCKSTEP_PYTHON'] ?? 'python3';

const tcmalloc = [
  process.env['LOCKSTEP_TCMALLOC'],
  '/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4',
  '/usr/lib64/libtcmalloc_minimal.so.4',
].find((path) => path !== undefined && existsSync(path));

/**
 * PyTorch obtains large tensors from the operating system again in each step if it runs with glibc's default thresholds, which makes
 * it 1.2 to 1.6 times slower. Debian's package libtcmalloc-minimal4, or else higher thresholds of glibc, prevent this.
 */
export const allocator: { readonly name: string; readonly environment: NodeJS.ProcessEnv } =
  tcmalloc === undefined
    ? {
        name: 'glibc with higher thresholds',
        environment: {
          MALLOC_MMAP_THRESHOLD_: '1073741824',
          MALLOC_TRIM_THRESHOLD_: '4294967296',
          MALLOC_TOP_PAD_: '268435456',
        },
      }
    : { name: 'tcmalloc', environment: { LD_PRELOAD: tcmalloc } };

/** Runs a program of bench/peers and returns the JSON of its last line. @throws Error if it fails or takes over 15 minutes */
export function runPeer<Result>(file: string, options: Readonly<Record<string, string | number>>): Result {
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const program = fileURLToPath(new URL(`./peers/${file}`, import.meta.url));
  const isTorch = file.startsWith('torch');
  const output = execFileSync(python, [program, ...args], {
    encoding: 'utf8',
    timeout: 900_000,
    env: { ...process.env, ...(isTorch ? allocator.environment : {}) },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return JSON.parse(output.trim().split('\n').at(-1) ?? '') as Result;
}

/** Returns whether the Python has the peer's package, and prints a line if it does not. */
export function isInstalled(peer: Peer): boolean {
  try {
    execFileSync(python, ['-c', `import numpy, ${peer}`], { timeout: 120_000, stdio: 'ignore' });
    return true;
  } catch {
    console.log(
      `${peer} is skipped: ${python} has no ${peer} or no numpy. Set LOCKSTEP_PYTHON to another Python.\n`,
    );
    return false;
  }
}
