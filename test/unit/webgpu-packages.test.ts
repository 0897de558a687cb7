import { spawnSync } from 'node:child_process';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { webgpuFinding } from '../../src/cli/diagnosis/software-checks.js';
import { contradictions } from '../../src/cli/options/contradictions.js';
import { resolveConfig } from '../../src/cli/options/resolve.js';
import { runConfigSchema } from '../../src/shared/config/run-config.js';
import { EngineError } from '../../src/shared/errors.js';
import { engineDirectory, engineHost, engineRoot, type EngineHost } from '../../src/worker/engine/cache.js';
import { exclusively } from '../../src/worker/engine/install/exclusive.js';
import { installEngine } from '../../src/worker/engine/install/install.js';
import { loadEngine } from '../../src/worker/engine/load.js';
import { describeFiles } from '../../src/worker/engine/manifest.js';
import { guardCommands } from '../../src/worker/engine/webgpu/backend.js';
import type { GpuBackend, GpuProgram } from '../../src/worker/engine/webgpu/gpu-types.js';
import { installWebgpu } from '../../src/worker/engine/webgpu/install.js';
import { verifiedWebgpuManifest } from '../../src/worker/engine/webgpu/manifest.js';
import {
  dawn,
  findWebgpu,
  tarballName,
  wantedFiles,
  webgpuDirectory,
} from '../../src/worker/engine/webgpu/packages.js';
import { describeWebgpu, webgpuStatus } from '../../src/worker/engine/webgpu/status.js';
import { filesOfTarball } from '../../src/worker/engine/webgpu/tarball.js';
import { eventually } from '../support/eventually.js';
import { temporaryFolder } from '../support/lockstep.js';
import { missingGpu } from '../support/software-gpu.js';

/** Packs files as npm does, with the system's tar. */
async function pack(files: Readonly<Record<string, string>>): Promise<Buffer> {
  const folder = await temporaryFolder();
  for (const [name, text] of Object.entries(files)) {
    const file = join(folder, 'package', name);
    await mkdir(join(file, '..'), { recursive: true });
    await writeFile(file, text);
  }
  const archive = join(folder, 'package.tgz');
  const { status, stderr } = spawnSync('tar', ['-czf', archive, 'package'], {
    cwd: folder,
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  expect(status).toBe(0);
  return readFile(archive);
}

/** Writes a folder that looks like an installed engine, and returns its manifest. */
async function writeWebgpu(host: EngineHost): Promise<object> {
  const directory = webgpuDirectory(host);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await writeFile(join(directory, 'index.js'), 'entry');
  const files = await describeFiles(directory);
  const manifest = { version: 1, packages: [], installedAt: new Date().toISOString(), files };
  await writeFile(join(directory, 'manifest.json'), JSON.stringify(manifest));
  return manifest;
}

describe('a package of WebGPU', () => {
  it('is read without its other files', async () => {
    const long = 'x'.repeat(1500);
    const archive = await pack({
      'index.js': 'entry',
      'dist/linux-x64/dawn.node': long,
      'build/build.js': 'other',
    });
    const found = filesOfTarball(archive, ['dist/linux-x64/dawn.node', 'index.js'], 'webgpu.tgz');
    const texts = [...found].map(([name, content]) => [name, content.toString()]);
    expect(Object.fromEntries(texts)).toEqual({ 'index.js': 'entry', 'dist/linux-x64/dawn.node': long });
  });

  it('is refused if it has no binary for the platform', async () => {
    const archive = await pack({ 'index.js': 'entry' });
    expect(() => filesOfTarball(archive, ['dist/aix-ppc64/dawn.node'], 'webgpu.tgz')).toThrow(
      /webgpu\.tgz: expected the file dist\/aix-ppc64\/dawn\.node, got none/,
    );
  });

  it('is refused with both hashes if its hash is another one, and nothing is installed', async () => {
    const [home, from] = [await temporaryFolder(), await temporaryFolder()];
    await writeFile(join(from, tarballName(dawn)), await pack({ 'index.js': 'other code' }));
    const host = { home };
    await expect(installWebgpu({ host, from, log: () => undefined })).rejects.toThrow(
      /webgpu-0\.6\.2\.tgz with sha512-3L4G.*, got sha512-/,
    );
    expect(findWebgpu(host)).toBeUndefined();
  });

  it('is named together with the command that creates it if it is missing', async () => {
    const [home, from] = [await temporaryFolder(), await temporaryFolder()];
    await expect(installWebgpu({ host: { home }, from, log: () => undefined })).rejects.toThrow(
      /ENOENT.*npm pack webgpu@0\.6\.2/,
    );
  });

  it('has the libraries that Dawn needs on Windows', () => {
    const names = (wantedFiles('win32-x64').get(dawn) ?? []).map(([name]) => name);
    expect(names).toContain('dist/win32-x64/dxcompiler.dll');
    expect((wantedFiles('linux-x64').get(dawn) ?? []).map(([name]) => name)).not.toContain(
      'dist/linux-x64/dxcompiler.dll',
    );
  });
});

describe('an installation of an engine', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });
  const log = (): void => undefined;
  it.each([
    ['TensorFlow', (host: EngineHost) => engineDirectory(host, 'cpu'), installEngine],
    ['WebGPU', webgpuDirectory, installWebgpu],
  ] as const)(
    '%s: the draft of a killed one is removed, a failure leaves nothing, and other engines stay',
    async (_, directoryOf, install) => {
      const [home, from] = [await temporaryFolder(), await temporaryFolder()];
      const host = { home };
      const [directory, root] = [directoryOf(host), engineRoot(host)];
      for (const name of [`${directory}.draft-1`, join(root, 'other.draft-2')])
        await mkdir(join(name, 'downloads'), { recursive: true });
      await expect(install({ host, variant: 'cpu', from, log })).rejects.toThrow(EngineError);
      expect(await readdir(root)).toEqual(['other.draft-2']);
    },
  );

  it.each([
    ['a file of another size', 'quick', 'another'],
    ['with --verify, a file with other content', 'full', 'other'],
  ])('replaces a folder of WebGPU that is damaged: %s', async (_, mode, content) => {
    const host = { home: await temporaryFolder() };
    await writeWebgpu(host);
    await writeFile(join(webgpuDirectory(host), 'index.js'), content);
    const lines: string[] = [];
    // Without npm, the installation ends when it starts to download.
    vi.stubEnv('PATH', await temporaryFolder());
    const installing = installWebgpu({ host, verify: mode === 'full', log: (line) => lines.push(line) });
    await expect(installing).rejects.toThrow(/expected `npm pack webgpu@0\.6\.2/);
    expect(lines).toEqual([
      expect.stringMatching(/is not usable, installing it again: .*index\.js: expected/),
      expect.stringContaining('downloading webgpu@0.6.2'),
    ]);
  });

  it('waits for another process that installs, and uses its result', async () => {
    const host = { home: await temporaryFolder() };
    const lines: string[] = [];
    let waiting: Promise<string> | undefined;
    await exclusively(webgpuDirectory(host), async () => {
      waiting = installWebgpu({ host, log: (line) => lines.push(line) });
      await eventually('the other process waits', () => lines.length > 0);
      await writeWebgpu(host);
    });
    expect(await waiting).toBe(webgpuDirectory(host));
    expect(lines).toEqual([
      `Engine: another process is installing; waiting for it to end (its lock: ${webgpuDirectory(host)}.lock) ...`,
      expect.stringContaining('are there already'),
    ]);
  });
});

describe('the engine webgpu', () => {
  it('names its folder and the command that installs it if it is missing', async () => {
    const host = { home: await temporaryFolder() };
    const loading = loadEngine({ choice: 'webgpu', threads: 1, host, warn: () => undefined });
    await expect(loading).rejects.toThrow(webgpuDirectory(host));
    await expect(loadEngine({ choice: 'webgpu', threads: 1, host, warn: () => undefined })).rejects.toThrow(
      /Run `lockstep engine install --webgpu`/,
    );
  });

  it('names the command that installs it again if a file is damaged', async () => {
    const host = { home: await temporaryFolder() };
    const directory = webgpuDirectory(host);
    const manifest = await writeWebgpu(host);
    await expect(verifiedWebgpuManifest(directory)).resolves.toEqual(manifest);
    await writeFile(join(directory, 'index.js'), 'another');
    await expect(verifiedWebgpuManifest(directory)).rejects.toThrow(
      /index\.js: expected 5 bytes, got 7 bytes\. Run `lockstep engine install --webgpu --force`/,
    );
  });

  const install = 'lockstep engine install --webgpu';

  /** A folder that stands for /dev, with these files. */
  async function devicesOf(...names: readonly string[]): Promise<string> {
    const folder = await temporaryFolder();
    await mkdir(join(folder, 'dri'));
    for (const name of names) await writeFile(join(folder, name), '');
    return folder;
  }

  it.runIf(process.platform === 'linux')(
    'is suggested with its command where a GPU is seen, and not elsewhere',
    async () => {
      const host = { home: await temporaryFolder() };
      for (const name of ['dri/renderD128', 'nvidia0', 'dxg']) {
        const status = await webgpuStatus(host, await devicesOf(name));
        expect(status).toMatchObject({ installed: false, gpuSeen: true, problem: undefined, next: install });
        const found = `not installed; a GPU is present; run ${install}`;
        expect(describeWebgpu(status)).toBe(found);
        expect(webgpuFinding(status)).toEqual({ name: 'WebGPU', state: 'ok', found });
      }
      for (const folder of [await devicesOf('dri/card0', 'nvidiactl'), '/nowhere']) {
        const status = await webgpuStatus(host, folder);
        expect(status).toMatchObject({ installed: false, gpuSeen: false, next: undefined });
        expect(describeWebgpu(status)).toBe('not installed; no GPU is seen');
      }
    },
  );

  it('names the command that repairs damaged packages in the diagnosis', async () => {
    const host = { home: await temporaryFolder() };
    await writeWebgpu(host);
    await writeFile(join(webgpuDirectory(host), 'index.js'), 'another');
    const finding = webgpuFinding(await webgpuStatus(host));
    expect(finding).toMatchObject({ state: 'warning', advice: `run ${install} --force` });
    expect(finding.found).toMatch(/index\.js: expected 5 bytes, got 7 bytes/);
  });

  it.runIf(process.platform === 'linux' && missingGpu === undefined)(
    'has instructions for a GPU that is seen but has no driver',
    async () => {
      vi.stubEnv('VK_DRIVER_FILES', '/nowhere/driver.json');
      const host = engineHost(process.env, os.homedir());
      const status = await webgpuStatus(host, await devicesOf('dri/renderD128'));
      vi.unstubAllEnvs();
      expect(status).toMatchObject({ installed: true, adapter: undefined, next: undefined });
      const { advice, state, found } = webgpuFinding(status);
      expect({ advice, state }).toEqual({ advice: undefined, state: 'warning' });
      expect(found).toMatch(
        /^a GPU is present, and Dawn did not open it: .+\. Install the driver of the GPU .*\/dev\/dri$/,
      );
    },
  );

  it('refuses too many operations between two turns of the event loop, and shaders with atomic operations', async () => {
    const result = { dataId: {}, shape: [1], dtype: 'float32' as const };
    const backend: Pick<GpuBackend, 'runWebGPUProgram'> = { runWebGPUProgram: () => result };
    guardCommands(backend, 3);
    const program = { atomic: false } as GpuProgram;
    const run = (count: number): void => {
      for (let i = 0; i < count; i++) expect(backend.runWebGPUProgram(program, [], 'float32')).toBe(result);
    };
    run(3);
    expect(() => run(1)).toThrow(/at most 3 operations in one step of a worker, got more.*--workers/);
    await new Promise((resolve) => setImmediate(resolve));
    run(3);
    await new Promise((resolve) => setImmediate(resolve));
    const atomic = { atomic: true } as GpuProgram;
    expect(() => backend.runWebGPUProgram(atomic, [], 'float32')).toThrow(/adds with atomic operations/);
  });

  it('has one worker and one thread unless more workers are requested', () => {
    const machine = { cores: 8, gpus: [0, 1] };
    const config = (workers: number | null) =>
      resolveConfig(runConfigSchema.parse({ engine: 'webgpu', workers }), machine);
    expect(config(null)).toMatchObject({ workers: 1, shards: 1, threads: 1 });
    expect(config(3)).toMatchObject({ workers: 3 });
  });

  it('is never chosen by auto, even if it is the only engine that is installed', async () => {
    const host = { home: await temporaryFolder(), packageDirectory: '/none' };
    await writeWebgpu(host);
    expect(findWebgpu(host)).toBeDefined();
    const engine = await loadEngine({ choice: 'auto', threads: 1, host, warn: () => undefined });
    expect(engine.kind).toBe('wasm');
  });

  it('is refused together with numbers of GPUs, which it cannot select', () => {
    expect(contradictions(runConfigSchema.parse({ engine: 'webgpu', devices: '0,1' }))).toEqual([
      expect.stringMatching(/^devices: .*got "0,1"/),
    ]);
    expect(contradictions(runConfigSchema.parse({ engine: 'webgpu' }))).toEqual([]);
  });
});
