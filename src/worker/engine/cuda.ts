/**
 * Finds out why TensorFlow's CUDA build uses no GPU, and whether it uses the CUDA libraries of the engine's folder. TensorFlow itself
 * computes on the CPU without an error if the driver or a library is missing.
 */

import { readFileSync, realpathSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { EngineError } from '../../shared/errors.js';
import type { FoundEngine } from './cache.js';
import type { EngineDevice } from './environment.js';
import { runProgram } from './process.js';

/** Libraries that TensorFlow opens by name when it looks for GPUs; without one of them it uses none. */
const requiredLibraries = ['cudart', 'cublas', 'cublasLt', 'cufft', 'cusolver', 'cusparse', 'cudnn'] as const;

/** The oldest driver for each major version of CUDA on Linux, by NVIDIA's table of minor version compatibility. */
const oldestDrivers: Readonly<Record<string, string>> = {
  '11': '450.80.02',
  '12': '525.60.13',
  '13': '580.65.06',
};

/** The CUDA libraries of an engine's folder, as paths relative to it, sorted. */
export async function cudaLibraries(directory: string): Promise<string[]> {
  const folder = path.join(directory, 'nvidia');
  const entries = await readdir(folder, { recursive: true }).catch(() => []);
  return entries
    .filter((name) => /\.so(\.[0-9.]+)?$/.test(name))
    .map((name) => path.join('nvidia', name))
    .sort();
}

/** Returns the names of required libraries that are not among `libraries`, for example `libcudnn`. */
export function missingLibraries(libraries: readonly string[]): string[] {
  const names = libraries.map((file) => path.basename(file));
  return requiredLibraries
    .map((name) => `lib${name}`)
    .filter((name) => !names.some((other) => other.startsWith(`${name}.so`)));
}

/** The major version of CUDA that the libraries belong to; undefined if libcudart is not among them. */
function cudaMajor(libraries: readonly string[]): string | undefined {
  const [, major] = /libcudart\.so\.(\d+)/.exec(libraries.join('\n')) ?? [];
  return major;
}

/** Compares versions such as 525.60.13 number by number. */
function isOlder(version: string, than: string): boolean {
  const [left, right] = [version, than].map((text) => text.split('.').map(Number));
  for (const [at, expected = 0] of (right ?? []).entries()) {
    const got = left?.[at] ?? 0;
    if (got !== expected) return got < expected;
  }
  return false;
}

const remedyForDriver =
  "Install NVIDIA's driver; in a container, start it with access to the GPUs (Docker: `--gpus all`).";

/**
 * Returns the reason why TensorFlow's CUDA build in `directory` uses no GPU, and the next step, in two sentences or more.
 * @param device the GPU that this process should use
 */
export async function whyNoGpu(directory: string, device: EngineDevice = 'auto'): Promise<string> {
  const libraries = await cudaLibraries(directory);
  const query = ['--query-gpu=index,driver_version', '--format=csv,noheader'];
  const { status, stdout, failure } = await runProgram('nvidia-smi', query, { timeoutMs: 15_000 });
  if (status !== 0) return `The NVIDIA driver does not answer (${failure}). ${remedyForDriver}`;
  const gpus = stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => line.split(',').map((field) => field.trim()));
  const [, driver = ''] = gpus[0] ?? [];
  if (gpus.length === 0) return `The NVIDIA driver lists no GPU. ${remedyForDriver}`;
  const major = cudaMajor(libraries);
  const oldest = major === undefined ? undefined : oldestDrivers[major];
  if (oldest !== undefined && isOlder(driver, oldest))
    return `The NVIDIA driver ${driver} is too old: CUDA ${major ?? ''} needs ${oldest} or newer. Update the driver.`;
  if (typeof device === 'number' && !gpus.some(([index]) => Number(index) === device))
    return `The NVIDIA driver lists the GPUs ${gpus.map(([index]) => index).join(', ')} and not ${device}. Choose one of them with --devices.`;
  const missing = missingLibraries(libraries);
  if (missing.length > 0)
    return `The engine has no ${missing.join(', ')}. Run \`lockstep engine install --cuda --force\`.`;
  return (
    'The driver and the CUDA libraries are there, and TensorFlow does not say more. ' +
    'Run `TF_CPP_MIN_LOG_LEVEL=0 lockstep engine status` and read what TensorFlow prints about the GPU.'
  );
}

/**
 * Checks the device after TensorFlow was loaded.
 * @param gpuInUse whether TensorFlow has found a GPU
 * @throws EngineError if a GPU was chosen for the CUDA build and is not used, or if CUDA libraries from elsewhere are used
 */
export async function requireDevice(
  found: FoundEngine,
  device: EngineDevice,
  gpuInUse: boolean,
  warn: (message: string) => void,
): Promise<void> {
  if (gpuInUse) {
    if (found.from === 'cache') requireOwnLibraries(found.directory, await cudaLibraries(found.directory));
    return;
  }
  if (typeof device !== 'number') return;
  if (found.from === 'cache' && found.variant === 'cuda')
    throw new EngineError(
      `TensorFlow: expected GPU ${device}, got the CPU. ${await whyNoGpu(found.directory, device)} ` +
        'Or compute on the CPU with --devices cpu.',
      { device },
    );
  const reason =
    found.from === 'cache'
      ? 'the installed TensorFlow is built for the CPU'
      : 'the TensorFlow inside tfjs-node-gpu finds none';
  warn(
    `GPU ${device} is not used, because ${reason}. ` +
      'Run `lockstep engine install --cuda --unpinned`, or choose the CPU with --devices cpu.',
  );
}

/**
 * The bits depend on the CUDA libraries, and the identity of a worker contains the hashes of those in the engine's folder. The loader
 * prefers a library of the same name in a folder of LD_LIBRARY_PATH.
 */
function requireOwnLibraries(directory: string, own: readonly string[]): void {
  const loaded = loadedFiles();
  // The list of mapped files contains no symbolic links.
  const folder = realpathSync(directory) + path.sep;
  const names = new Set(own.map((file) => path.basename(file)));
  const foreign = loaded.find((file) => names.has(path.basename(file)) && !file.startsWith(folder));
  if (foreign === undefined) return;
  throw new EngineError(
    `CUDA library ${path.basename(foreign)}: expected the one in ${directory}, got ${foreign}, which can compute other bits. ` +
      'Remove its folder from LD_LIBRARY_PATH.',
    { path: foreign },
  );
}

/** The files that are mapped into this process; empty on systems other than Linux. */
function loadedFiles(): string[] {
  try {
    const maps = readFileSync('/proc/self/maps', 'utf8');
    return [...new Set([...maps.matchAll(/^\S+ \S+ \S+ \S+ \S+\s+(\/.+)$/gm)].map(([, file = '']) => file))];
  } catch {
    return [];
  }
}
