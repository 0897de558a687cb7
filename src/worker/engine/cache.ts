/**
 * Where the native engine lives on disk, and whether one seems to be there. Owns the cache key, nothing else does.
 *
 * Node's own modules only, and no more than a few `stat` calls: scripts/setup.mjs asks here on every `npm start`.
 * It never reads process.env; the caller passes in what it read (`engineHost`).
 */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { nativeHash } from './native-sources.js';

/** The release that `engine install` provides. A test compares `packageVersion` with package.json. */
export const engineRelease = {
  packageName: '@tensorflow/tfjs-node-gpu',
  packageVersion: '4.22.0',
  tensorflowVersion: '2.21.0',
  /** The Node-API version that the binding is compiled for; every Node from 20 on has it. */
  nodeApiVersion: 8,
} as const;

export type EngineVariant = 'cpu' | 'cuda';

/** What this room needs to know of the machine. Made by `engineHost`; tests make their own. */
export interface EngineHost {
  readonly home: string;
  /** The base of all caches; default `<home>/.cache`. */
  readonly cacheHome?: string | undefined;
  /** The process's environment variables, to check that `engineEnvironment` was applied. Left out: no check. */
  readonly variables?: Readonly<Record<string, string | undefined>> | undefined;
  /** The folder of tfjs-node-gpu; default: see `packageDirectory`. */
  readonly packageDirectory?: string | undefined;
}

/** The host as the caller's environment describes it: `engineHost(process.env, os.homedir())`. */
export function engineHost(
  variables: Readonly<Record<string, string | undefined>>,
  home: string,
): EngineHost {
  const cacheHome = variables['XDG_CACHE_HOME'];
  // The XDG rule: a relative path is to be ignored.
  return {
    home,
    variables,
    cacheHome: cacheHome !== undefined && path.isAbsolute(cacheHome) ? cacheHome : undefined,
  };
}

/** Lockstep's own folder of this user's caches. */
export function cacheRoot({ home, cacheHome }: EngineHost): string {
  return path.join(cacheHome ?? path.join(home, '.cache'), 'lockstep');
}

/** Holds one folder for each key. */
export function engineRoot(host: EngineHost): string {
  return path.join(cacheRoot(host), 'engine');
}

/** The name of an engine's folder: everything that makes two engines incompatible. */
export function engineKey(
  variant: EngineVariant,
  platform: string = process.platform,
  arch: string = process.arch,
): string {
  const { packageVersion, tensorflowVersion, nodeApiVersion } = engineRelease;
  return `tfjs-node-gpu-${packageVersion}-tensorflow-${tensorflowVersion}-${platform}-${arch}-${variant}-napi${nodeApiVersion}`;
}

export function engineDirectory(host: EngineHost, variant: EngineVariant): string {
  return path.join(engineRoot(host), engineKey(variant));
}

export const manifestName = 'manifest.json';
/** What every binding in the cache is called at the beginning. */
export const bindingPrefix = 'tfjs_binding-';

/** The binding of Lockstep's own sources as they are now; an older one doesn't count. */
export function bindingName(): string {
  return `${bindingPrefix}${nativeHash()}.node`;
}

/** What every addon for shared memory in the cache is called at the beginning. */
export const memoryPrefix = 'lockstep_memory-';

export function memoryName(): string {
  return `${memoryPrefix}${nativeHash()}.node`;
}

const ownRequire = createRequire(import.meta.url);

/** The copy in Lockstep's package, which scripts/vendor-engine.mjs makes. */
const vendored = fileURLToPath(new URL('../../../vendor/tfjs-node-gpu', import.meta.url));

/**
 * The folder of tfjs-node-gpu: an installed package of the version that is wanted, else the copy that Lockstep brings. Undefined
 * without either. Loads nothing.
 */
export function packageDirectory(host: EngineHost): string | undefined {
  if (host.packageDirectory !== undefined) return host.packageDirectory;
  const installed = installedPackage();
  if (installed !== undefined && versionIn(installed) === engineRelease.packageVersion) return installed;
  return existsSync(path.join(vendored, 'package.json')) ? vendored : undefined;
}

function installedPackage(): string | undefined {
  try {
    return path.dirname(ownRequire.resolve(`${engineRelease.packageName}/package.json`));
  } catch {
    return undefined;
  }
}

/** An engine that seems to be there. Its files have not been verified. */
export type FoundEngine =
  | {
      readonly from: 'cache';
      readonly variant: EngineVariant;
      readonly directory: string;
      readonly binding: string;
    }
  | { readonly from: 'package'; readonly directory: string; readonly binding: string };

/** The binding that tfjs-node-gpu's own install script left inside the package, with its library. */
export function findPackageEngine(host: EngineHost): FoundEngine | undefined {
  const directory = packageDirectory(host);
  if (directory === undefined || !existsSync(path.join(directory, 'deps'))) return undefined;
  for (let version: number = engineRelease.nodeApiVersion; version >= 3; version--) {
    const binding = path.join(directory, 'lib', `napi-v${version}`, 'tfjs_binding.node');
    if (existsSync(binding)) return { from: 'package', directory, binding };
  }
  return undefined;
}

/** The engine in the cache for one variant, if it is complete (the manifest is written last) and up to date. */
export function findCachedEngine(host: EngineHost, variant: EngineVariant): FoundEngine | undefined {
  const directory = engineDirectory(host, variant);
  const binding = path.join(directory, bindingName());
  if (!existsSync(path.join(directory, manifestName)) || !existsSync(binding)) return undefined;
  return { from: 'cache', variant, directory, binding };
}

/**
 * The engine that would be loaded: the cache's CUDA variant (it runs on the CPU too), its CPU variant, then a
 * tfjs-node-gpu that was installed with its own script. Costs a few `stat` calls.
 */
export function findEngine(host: EngineHost): FoundEngine | undefined {
  return findCachedEngine(host, 'cuda') ?? findCachedEngine(host, 'cpu') ?? findPackageEngine(host);
}

/** The version that the package.json of tfjs-node-gpu states. */
function versionIn(directory: string): string | undefined {
  try {
    const { version } = JSON.parse(readFileSync(path.join(directory, 'package.json'), 'utf8')) as {
      version?: string;
    };
    return version;
  } catch {
    return undefined;
  }
}

/** The addon for memory shared between processes, where one was compiled. */
export function findMemoryAddon(host: EngineHost): string | undefined {
  const found = findEngine(host);
  if (found?.from !== 'cache') return undefined;
  const file = path.join(found.directory, memoryName());
  return existsSync(file) ? file : undefined;
}
