/**
 * The npm packages of the engine `webgpu`: their versions, their hashes, and their folder in the cache of engines. They are optional,
 * and the package of Dawn holds binaries of five platforms (132 MB), so Lockstep does not depend on them: `lockstep engine install
 * --webgpu` keeps the files that this machine needs, 22 MB, outside node_modules.
 */

import { existsSync } from 'node:fs';
import path from 'node:path';
import { engineRoot, manifestName, type EngineHost } from '../cache.js';

/** The command that installs the packages. */
export const installWebgpuCommand = 'lockstep engine install --webgpu';

export interface PinnedPackage {
  readonly name: string;
  readonly version: string;
  /** SHA-512 of the packed package in the form of npm's lock files. */
  readonly integrity: string;
}

/** Dawn's binding for Node. */
export const dawn: PinnedPackage = {
  name: 'webgpu',
  version: '0.6.2',
  integrity:
    'sha512-3L4GfmqJLvYUIEWJngEQY+2HQiUlAFkg8+P8NDDj3Xx5hHHIFO/r8JW+ynfqBj7kHN4mbnwO74uB+lrRtLhp4Q==',
};

/** tfjs's WebGPU backend. Its file for Node requires tfjs-core and nothing else. */
export const backend: PinnedPackage = {
  name: '@tensorflow/tfjs-backend-webgpu',
  version: '4.22.0',
  integrity:
    'sha512-lvIc7Af4Tl2BCdYp43iQmSCRq3asaKT0q2xaErphXiUZ+jqeB0bQa0ZvQys1Xatvto0U4/c90DVsHPfvkn5ftg==',
};

export const packages = [dawn, backend] as const;

/** Returns the file name that `npm pack` gives the package. */
export function tarballName({ name, version }: PinnedPackage): string {
  return `${name.replace(/^@/, '').replace('/', '-')}-${version}.tgz`;
}

/** Files inside the engine's folder. */
export const dawnEntry = 'webgpu/index.js';
export const backendEntry = 'tf-backend-webgpu.node.js';

/** Returns the folder of Dawn's binary for a platform. */
function dawnFolder(platform: string = process.platform, arch: string = process.arch): string {
  return platform === 'darwin' ? 'darwin-universal' : `${platform}-${arch}`;
}

/** Returns the files to take from each package, as pairs of the path in the package and the path in the engine's folder. */
export function wantedFiles(folder = dawnFolder()): ReadonlyMap<PinnedPackage, readonly [string, string][]> {
  const libraries = folder.startsWith('win32') ? ['dxcompiler.dll', 'd3dcompiler_47.dll'] : [];
  const binaries = ['dawn.node', ...libraries].map((name) => `dist/${folder}/${name}`);
  const dawnFiles = ['index.js', 'package.json', 'LICENSE.md', ...binaries];
  return new Map([
    [dawn, dawnFiles.map((file): [string, string] => [file, `webgpu/${file}`])],
    [backend, [['dist/tf-backend-webgpu.node.js', backendEntry]]],
  ]);
}

/** Returns the folder of the engine, whose name contains both versions and the platform. */
export function webgpuDirectory(host: EngineHost): string {
  return path.join(engineRoot(host), `webgpu-${dawn.version}-tfjs-${backend.version}-${dawnFolder()}`);
}

/** Returns the engine's folder if it is complete: the manifest is written before the folder gets its name. */
export function findWebgpu(host: EngineHost): string | undefined {
  const directory = webgpuDirectory(host);
  return existsSync(path.join(directory, manifestName)) ? directory : undefined;
}
