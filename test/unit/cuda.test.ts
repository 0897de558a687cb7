import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { cudaLibraries, missingLibraries, requireDevice, whyNoGpu } from '../../src/worker/engine/cuda.js';
import { temporaryFolder } from '../support/lockstep.js';
import { standinNvidiaSmi } from '../support/standin-cuda.js';

const complete = [
  'cudart.so.12',
  'cublas.so.12',
  'cublasLt.so.12',
  'cufft.so.11',
  'cusolver.so.11',
  'cusparse.so.12',
  'cudnn.so.9',
];

/** An engine's folder with these libraries, which are empty files. */
async function engineWith(libraries: readonly string[]): Promise<string> {
  const folder = await temporaryFolder();
  for (const name of libraries) {
    const directory = join(folder, 'nvidia', name.split('.')[0] ?? '', 'lib');
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, `lib${name}`), '');
  }
  return folder;
}

async function withDriver(gpus: readonly number[], version: string): Promise<void> {
  vi.stubEnv('PATH', (await standinNvidiaSmi(await temporaryFolder(), gpus, version)).PATH);
}

afterEach(() => vi.unstubAllEnvs());

describe('the CUDA libraries of an engine', () => {
  it('are complete only with each library that TensorFlow opens, where libcublas is not libcublasLt', async () => {
    const libraries = await cudaLibraries(await engineWith(complete));
    expect(libraries).toContain('nvidia/cudnn/lib/libcudnn.so.9');
    expect(missingLibraries(libraries)).toEqual([]);
    const without = complete.filter((name) => name !== 'cublas.so.12' && name !== 'cudnn.so.9');
    expect(missingLibraries(await cudaLibraries(await engineWith(without)))).toEqual([
      'libcublas',
      'libcudnn',
    ]);
    expect(await cudaLibraries(await temporaryFolder())).toEqual([]);
  });
});

describe('the reason why TensorFlow uses no GPU', () => {
  // The versions are those of NVIDIA's table of minor version compatibility.
  it.each([
    ['12', '525.60.12', /525\.60\.12 is too old: CUDA 12 needs 525\.60\.13 or newer/],
    ['12', '470.256.02', /470\.256\.02 is too old: CUDA 12 needs 525\.60\.13/],
    ['13', '575.57.08', /575\.57\.08 is too old: CUDA 13 needs 580\.65\.06/],
    ['11', '418.226.00', /418\.226\.00 is too old: CUDA 11 needs 450\.80\.02/],
  ])('is the driver if CUDA %s finds version %s', async (major, version, expected) => {
    await withDriver([0], version);
    const engine = await engineWith(
      complete.map((name) => name.replace('cudart.so.12', `cudart.so.${major}`)),
    );
    expect(await whyNoGpu(engine)).toMatch(expected);
  });

  it.each([
    ['12', '525.60.13'],
    ['12', '1000.1'],
    ['13', '580.65.06'],
  ])('is not the driver if CUDA %s finds version %s', async (major, version) => {
    await withDriver([0], version);
    const engine = await engineWith(
      complete.map((name) => name.replace('cudart.so.12', `cudart.so.${major}`)),
    );
    expect(await whyNoGpu(engine)).toMatch(/The driver and the CUDA libraries are there/);
  });

  it('is a missing driver, a missing GPU or a missing library, in this order', async () => {
    const engine = await engineWith(complete.slice(1));
    vi.stubEnv('PATH', '/nonexistent');
    expect(await whyNoGpu(engine)).toMatch(/driver does not answer \(nvidia-smi: not found\).*--gpus all/);
    await withDriver([], '550.54.15');
    expect(await whyNoGpu(engine)).toMatch(/driver lists no GPU/);
    await withDriver([0, 2], '550.54.15');
    expect(await whyNoGpu(engine, 1)).toMatch(/lists the GPUs 0, 2 and not 1.*--devices/);
    expect(await whyNoGpu(engine, 2)).toMatch(/no libcudart\. Run `lockstep engine install --cuda --force`/);
  });
});

describe('a GPU that was chosen for TensorFlow', () => {
  it('is required of the CUDA build, and with the build for the CPU its absence is a warning', async () => {
    const directory = await engineWith(complete);
    vi.stubEnv('PATH', '/nonexistent');
    const warnings: string[] = [];
    const check = (variant: 'cpu' | 'cuda', device: number | 'cpu' | 'auto') =>
      requireDevice({ from: 'cache', variant, directory, binding: '' }, device, false, (message) =>
        warnings.push(message),
      );
    await expect(check('cuda', 3)).rejects.toThrow(
      /expected GPU 3, got the CPU\. The NVIDIA driver does not answer.*--devices cpu/,
    );
    await check('cuda', 'cpu');
    await check('cuda', 'auto');
    await check('cpu', 'cpu');
    expect(warnings).toEqual([]);
    await check('cpu', 0);
    expect(warnings).toEqual([expect.stringMatching(/GPU 0 is not used.*engine install --cuda --unpinned/)]);
  });
});
