import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EngineError } from '../../src/shared/errors.js';
import {
  bindingName,
  engineDirectory,
  engineHost,
  engineRelease,
  findCachedEngine,
  findEngine,
  manifestName,
} from '../../src/worker/engine/cache.js';
import { engineEnvironment } from '../../src/worker/engine/environment.js';
import { exclusively } from '../../src/worker/engine/install/exclusive.js';
import { provideFrom } from '../../src/worker/engine/install/libraries.js';
import { defaultLimits, extractWheel } from '../../src/worker/engine/install/wheel.js';
import { loadEngine } from '../../src/worker/engine/load.js';
import {
  describeFiles,
  parseManifest,
  readManifest,
  verifyFiles,
  type EngineManifest,
} from '../../src/worker/engine/manifest.js';
import { provideIsNullOrUndefined } from '../../src/worker/engine/native.js';
import { engineStatus } from '../../src/worker/engine/status.js';
import { eventually } from '../support/eventually.js';
import { temporaryFolder } from '../support/lockstep.js';
import { wheelOf, type WheelOptions } from '../support/wheel.js';

const library = 'tensorflow/libtensorflow_cc.so.2';
const header = 'tensorflow/include/tensorflow/c/c_api.h';
const bytes = (text: string): Buffer => Buffer.from(text);
const contents = {
  [library]: bytes('library'),
  [header]: bytes('header'),
  'tensorflow/python/other.py': bytes('other'),
};

async function wheel(
  files: Record<string, Uint8Array>,
  options?: WheelOptions,
): Promise<{ file: string; target: string }> {
  const folder = await temporaryFolder();
  const file = join(folder, 'tensorflow.whl');
  await writeFile(file, wheelOf(files, options));
  return { file, target: join(folder, 'target') };
}

describe('a wheel', () => {
  it('is unpacked to its libraries and headers only', async () => {
    const metadata =
      'Name: tensorflow\nRequires-Dist: nvidia-cublas-cu12<13,>=12.5; extra == "and-cuda"\nRequires-Dist: numpy\n';
    const { file, target } = await wheel(contents, { metadata });
    const { files, cudaRequirements } = await extractWheel(file, target);
    expect([...files].sort()).toEqual([header, library]);
    expect(cudaRequirements).toEqual(['nvidia-cublas-cu12<13,>=12.5']);
    expect(await readFile(join(target, library), 'utf8')).toBe('library');
    expect(await readdir(join(target, 'tensorflow'))).not.toContain('python');
  });

  it('is refused if a library does not match the hash in RECORD', async () => {
    const { file, target } = await wheel(contents, { record: `${library},sha256=AAAA,7` });
    await expect(extractWheel(file, target)).rejects.toThrow(
      /libtensorflow_cc\.so\.2: expected SHA-256 AAAA/,
    );
    const none = await wheel(contents, { record: '' });
    await expect(extractWheel(none.file, none.target)).rejects.toThrow(EngineError);
  });

  it('is refused if it is too large, truncated or not an archive', async () => {
    const { file, target } = await wheel(contents);
    await expect(extractWheel(file, target, { ...defaultLimits, entryBytes: 6 })).rejects.toThrow(
      /at most 6 bytes/,
    );
    await expect(extractWheel(file, target, { ...defaultLimits, entries: 2 })).rejects.toThrow(
      /at most 2 entries/,
    );
    for (const name of ['METADATA', 'RECORD']) {
      const more = { [name === 'RECORD' ? 'record' : 'metadata']: 'x'.repeat(1_000) };
      const { file: large, target: other } = await wheel(contents, more);
      await expect(extractWheel(large, other, { ...defaultLimits, textBytes: 900 })).rejects.toThrow(
        new RegExp(`${name}: expected at most 900 bytes, got 1000`),
      );
    }
    expect(defaultLimits.textBytes).toBeLessThanOrEqual(64 * 2 ** 20);
    const whole = await readFile(file);
    await writeFile(file, whole.subarray(0, whole.length - 30));
    await expect(extractWheel(file, target)).rejects.toThrow(/expected a readable archive/);
    await writeFile(file, 'no archive at all');
    await expect(extractWheel(file, target)).rejects.toThrow(EngineError);
  });

  it('writes no file outside its folder', async () => {
    const { file, target } = await wheel({
      'tensorflow/include/tsl/../../../../escaped.h': bytes('escaped'),
    });
    await expect(extractWheel(file, target)).rejects.toThrow(EngineError);
    expect(await readdir(join(target, '..'))).not.toContain('escaped.h');
  });
});

describe('--from', () => {
  it('accepts wheels, an unpacked wheel and libtensorflow, and names other contents in its error', async () => {
    const { file, target } = await wheel(contents);
    expect((await provideFrom(join(file, '..'), target)).wheels).toHaveLength(1);
    const unpacked = await provideFrom(target, join(target, 'again'));
    expect(unpacked.reason).toContain('libraries in');
    expect(await readFile(join(target, 'again', library), 'utf8')).toBe('library');
    const plain = await temporaryFolder();
    await mkdir(join(plain, 'lib'));
    await mkdir(join(plain, 'include', 'tensorflow', 'c'), { recursive: true });
    await writeFile(join(plain, 'lib', 'libtensorflow.so.2'), 'library');
    await writeFile(join(plain, 'include', 'tensorflow', 'c', 'c_api.h'), 'header');
    await provideFrom(plain, join(plain, 'target'));
    expect(await readFile(join(plain, 'target', header), 'utf8')).toBe('header');
    await expect(provideFrom(await temporaryFolder(), target)).rejects.toThrow(/expected a TensorFlow wheel/);
    await expect(provideFrom(join(plain, 'none'), target)).rejects.toThrow(/expected a readable folder/);
  });
});

async function cachedEngine() {
  const home = await temporaryFolder();
  const host = {
    ...engineHost({ XDG_CACHE_HOME: join(home, 'cache') }, home),
    packageDirectory: join(home, 'none'),
  };
  const directory = engineDirectory(host, 'cpu');
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, bindingName()), 'no binding');
  const manifest: EngineManifest = {
    version: 1,
    key: 'test',
    variant: 'cpu',
    tensorflowVersion: '2.21.0',
    source: 'pypi',
    reason: 'test',
    wheels: [],
    compiler: 'c++',
    ownKernels: true,
    installedAt: new Date(0).toISOString(),
    files: await describeFiles(directory),
  };
  return {
    host,
    directory,
    manifest,
    save: () => writeFile(join(directory, 'manifest.json'), JSON.stringify(manifest)),
  };
}

describe('the engine cache', () => {
  it('is in XDG_CACHE_HOME if it is set, else below the home directory', () => {
    expect(engineDirectory(engineHost({ XDG_CACHE_HOME: '/x' }, '/home/me'), 'cpu')).toMatch(
      /^\/x\/lockstep\/engine\/.*-cpu-/,
    );
    // A relative path is to be ignored, says the XDG rule.
    expect(engineDirectory(engineHost({ XDG_CACHE_HOME: 'x' }, '/home/me'), 'cuda')).toMatch(
      /^\/home\/me\/\.cache\/.*-cuda-/,
    );
  });

  it('belongs to the version of tfjs-node-gpu in package.json', () => {
    const { devDependencies, peerDependencies } = createRequire(import.meta.url)('../../package.json') as {
      devDependencies: Record<string, string>;
      peerDependencies: Record<string, string>;
    };
    for (const versions of [devDependencies, peerDependencies])
      expect(versions[engineRelease.packageName]).toBe(engineRelease.packageVersion);
  });

  it('has no engine without a manifest or with a binding of other sources', async () => {
    const { host, directory, save } = await cachedEngine();
    expect(findCachedEngine(host, 'cpu')).toBeUndefined();
    await save();
    expect(findEngine(host)).toMatchObject({ from: 'cache', directory });
    const { rename } = await import('node:fs/promises');
    await rename(join(directory, bindingName()), join(directory, 'tfjs_binding-000000000000.node'));
    expect(findEngine(host)).toBeUndefined();
  });

  it('detects a file that was changed, truncated or removed', async () => {
    const { directory, manifest, save } = await cachedEngine();
    await save();
    await verifyFiles(directory, await readManifest(directory), 'full');
    await writeFile(join(directory, bindingName()), 'NO binding');
    await expect(verifyFiles(directory, manifest, 'full')).rejects.toThrow(/expected SHA-256/);
    await writeFile(join(directory, bindingName()), 'short');
    await expect(verifyFiles(directory, manifest, 'quick')).rejects.toThrow(/expected 10 bytes, got 5 bytes/);
    expect(() => parseManifest('{"version":2}', 'manifest.json')).toThrow(EngineError);
    expect(() => parseManifest('{', 'manifest.json')).toThrow(/expected JSON/);
  });

  it('explains why an engine does not load, and names the command that repairs it', async () => {
    const { host, save } = await cachedEngine();
    await save();
    const status = await engineStatus(host);
    expect(status).toMatchObject({ usable: false, next: 'lockstep engine install --force' });
    expect(status.problem).toContain('Trying');
    expect(await engineStatus({ ...host, cacheHome: '/none' })).toMatchObject({
      usable: false,
      next: 'lockstep engine install',
    });
  });
});

describe('loading', () => {
  const absent = { home: '/none', packageDirectory: '/none' };

  it('falls back to WebAssembly with a warning, unless TensorFlow was requested', async () => {
    const warnings: string[] = [];
    const options = { threads: 1, host: absent, warn: (message: string) => warnings.push(message) };
    const engine = await loadEngine({ ...options, choice: 'auto' });
    expect(engine.kind).toBe('wasm');
    expect(engine.describe()).toMatch(/^WebAssembly \(tfjs 4.*1 thread$/);
    expect(warnings.join()).toMatch(/WebAssembly.*lockstep engine install.*native speed and GPUs/);
    await expect(loadEngine({ ...options, choice: 'tensorflow' })).rejects.toThrow(EngineError);
  });

  it('waits for an installation of TensorFlow that is in progress, instead of computing in WebAssembly', async () => {
    const host = { ...absent, home: await temporaryFolder() };
    const directory = engineDirectory(host, 'cpu');
    const warnings: string[] = [];
    const loaded = await exclusively(directory, async () => {
      const loading = loadEngine({
        choice: 'auto',
        threads: 1,
        host,
        warn: (message) => warnings.push(message),
      });
      const outcome = loading.catch((error: unknown) => error);
      await eventually('the loading process waits', () => warnings.length > 0);
      await mkdir(directory, { recursive: true });
      await writeFile(join(directory, bindingName()), 'a binding that cannot be loaded');
      await writeFile(join(directory, manifestName), '{}');
      return { outcome };
    });
    expect(await loaded.outcome).toBeInstanceOf(EngineError);
    expect(warnings).toEqual([
      expect.stringMatching(
        /^Waiting until another process has installed native TensorFlow \(its lock: .*\.lock\)/,
      ),
    ]);
  });

  it('restores util.isNullOrUndefined, which recent versions of Node lack', () => {
    const target: { isNullOrUndefined?: (value: unknown) => boolean } = {};
    provideIsNullOrUndefined(target);
    expect([undefined, null, 0, ''].map((value) => target.isNullOrUndefined?.(value))).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });

  it('fixes the number of threads, hides GPUs from CPU workers, and makes GPU ops deterministic', () => {
    expect(engineEnvironment({ threads: 3, device: 'cpu' })).toMatchObject({
      TF_NUM_INTRAOP_THREADS: '3',
      CUDA_VISIBLE_DEVICES: '-1',
    });
    expect(engineEnvironment({ threads: 3, device: 1 })).toMatchObject({
      CUDA_VISIBLE_DEVICES: '1',
      TF_FORCE_GPU_ALLOW_GROWTH: 'true',
      TF_DETERMINISTIC_OPS: '1',
    });
  });
});
