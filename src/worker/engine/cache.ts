/**
 * The location of the native engine on disk, and whether one is present. The only module that builds the cache key.
 *
 * It imports no packages and makes a few `stat` calls, since scripts/setup.mjs calls it on every `npm start`.
 * It never reads process.env; the caller passes the variables in (`engineHost`).
 */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { nativeHash } from './native-sources.js';
import { engineFault } from './trust.js';

/** The release that `engine install` provides. A test compares `packageVersion` with package.json. */
export const engineRelease = {
  packageName: '@tensorflow/tfjs-node-gpu',
  packageVersion: '4.22.0',
  tensorflowVersion: '2.21.0',
  /** The Node-API version that the binding is compiled for; every Node from 20 on has it. */
  nodeApiVersion: 8,
} as const;

export const engineVariants = ['cuda', 'cpu'] as const;
export type EngineVariant = (typeof engineVariants)[number];

/** The properties of the machine that these modules depend on. `engineHost` makes it; tests make their own. */
export interface EngineHost {
  readonly home: string;
  /** Base folder of all caches; default `<home>/.cache`. */
  readonly cacheHome?: string | undefined;
  /** Environment variables of the process, to check that `engineEnvironment` was applied; no check if left out. */
  readonly variables?: Readonly<Record<string, string | undefined>> | undefined;
  /** Folder of tfjs-node-gpu; default: the result of `packageDirectory`. */
  readonly packageDirectory?: string | undefined;
}

/** Builds the host from the caller's environment: `engineHost(process.env, os.homedir())`. */
export function engineHost(
  variables: Readonly<Record<string, string | undefined>>,
  home: string,
): EngineHost {
  const cacheHome = variables['XDG_CACHE_HOME'];
  // By the XDG specification a relative path is ignored.
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

/** Folder that holds one engine's folder per key. */
export function engineRoot(host: EngineHost): string {
  return path.join(cacheRoot(host), 'engine');
}

/** Returns the name of an engine's folder, which contains everything that makes two engines incompatible. */
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
/** The command that installs native TensorFlow. */
export const installCommand = 'lockstep engine install';

/** Common prefix of the names of all bindings in the cache. */
export const bindingPrefix = 'tfjs_binding-';

/** Returns the name of the binding for the present native sources; older bindings are not used. */
export function bindingName(): string {
  return `${bindingPrefix}${nativeHash()}.node`;
}

/** Common prefix of the names of all shared-memory addons in the cache. */
export const memoryPrefix = 'lockstep_memory-';

export function memoryName(): string {
  return `${memoryPrefix}${nativeHash()}.node`;
}

const ownRequire = createRequire(import.meta.url);

/** The copy in Lockstep's package, which scripts/vendor-engine.mjs makes. */
const vendored = fileURLToPath(new URL('../../../vendor/tfjs-node-gpu', import.meta.url));

/**
 * Returns the folder of tfjs-node-gpu: an installed package of the required version, else the copy in Lockstep's package;
 * undefined without either. Loads nothing.
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

/** An engine that was found. Its files have not been verified. */
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

/** Returns the cached engine of one variant if it is complete (the manifest is written last) and up to date. */
export function findCachedEngine(host: EngineHost, variant: EngineVariant): FoundEngine | undefined {
  const directory = engineDirectory(host, variant);
  const binding = path.join(directory, bindingName());
  if (!existsSync(path.join(directory, manifestName)) || !existsSync(binding)) return undefined;
  return { from: 'cache', variant, directory, binding };
}

/**
 * Returns the engine that would be loaded: the cached CUDA variant (it also runs on the CPU), the CPU variant, then a
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

/** Returns the addon for memory shared between processes, if it was compiled and no other user can change it. */
export function findMemoryAddon(host: EngineHost): string | undefined {
  const found = findEngine(host);
  if (found?.from !== 'cache' || engineFault(found.directory) !== undefined) return undefined;
  const file = path.join(found.directory, memoryName());
  return existsSync(file) ? file : undefined;
}
