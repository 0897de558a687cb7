/** Compiles the drivers of this folder, and the addon, with sanitizers into a temporary folder. Runs nothing. */

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { engineHost, findEngine } from '../../src/worker/engine/cache.js';
import { addonSources, opSources } from '../../src/worker/engine/native-sources.js';

const run = promisify(execFile);
const folder = fileURLToPath(new URL('.', import.meta.url));
const compiler = process.env['CXX'] ?? 'c++';

/** Options of src/worker/engine/install/compile.ts that determine bits, for one instruction set at a time. */
const options = [
  '-std=c++17',
  '-O1',
  // Line numbers for reports, and no more: full debug information doubles the time of the compiler.
  '-g1',
  '-ffp-contract=off',
  '-fno-math-errno',
  '-fno-omit-frame-pointer',
  '-pthread',
  '-Wno-psabi',
  '-DLOCKSTEP_MULTIVERSIONED=',
];
export const memorySanitizers = ['-fsanitize=address,undefined', '-fno-sanitize-recover=undefined'];
export const threadSanitizer = ['-fsanitize=thread'];

export interface NativeBuild {
  /** Compiles a driver of this folder; returns the executable's path. */
  driver(name: string, flags: readonly string[]): Promise<string>;
  /** Compiles all ops with the fake TensorFlow and their driver; returns the executable's path. */
  ops(flags: readonly string[]): Promise<string>;
  /** Compiles the addon; returns its path. */
  addon(flags: readonly string[]): Promise<string>;
  remove(): Promise<void>;
}

export async function nativeBuild(): Promise<NativeBuild> {
  const output = await mkdtemp(join(tmpdir(), 'lockstep-native-'));
  /** Builds by their arguments, so that tests share one. Node loads an addon by its extension .node. */
  const builds = new Map<string, Promise<string>>();
  const start = async (args: readonly string[], file: string): Promise<string> => {
    await run(compiler, [...options, ...args, '-o', file], { timeout: 580_000 });
    return file;
  };
  const compile = (sources: readonly string[], flags: readonly string[]): Promise<string> => {
    const args = [...flags, ...sources];
    const key = args.join(' ');
    const build = builds.get(key) ?? start(args, join(output, `build-${builds.size}.node`));
    builds.set(key, build);
    return build;
  };
  const here = (...names: string[]): string[] => names.map((name) => join(folder, name));
  return {
    driver: (name, flags) => compile(here(`${name}.cc`), flags),
    ops: (flags) =>
      compile(
        [...here('op_checks.cc', 'fake_tensorflow.cc'), ...opSources()],
        // Without optimization, these sources compile five times as fast.
        ['-O0', ...flags, `-I${tensorflowHeaders()}`],
      ),
    addon: (flags) => {
      const { include_dir: nodeApi } = createRequire(import.meta.url)('node-api-headers') as {
        include_dir: string;
      };
      return compile(addonSources(), [...flags, '-shared', '-fPIC', '-DNAPI_VERSION=8', `-I${nodeApi}`]);
    },
    remove: () => rm(output, { recursive: true, force: true }),
  };
}

/** The headers of the installed engine. */
function tensorflowHeaders(): string {
  const engine = findEngine(engineHost(process.env, homedir()));
  if (engine?.from !== 'cache')
    throw new Error(
      'Compiling the ops: expected an installed engine, got none. Run `lockstep engine install`.',
    );
  return join(engine.directory, 'tensorflow', 'include');
}

/** The reason why sanitizers cannot be used on this machine; undefined if they can. */
export async function missingSanitizers(): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'the sanitizers are only tested on Linux';
  const output = await mkdtemp(join(tmpdir(), 'lockstep-native-'));
  try {
    const source = ['-x', 'c++', '-', '-o', join(output, 'probe')];
    const probe = run(compiler, [...memorySanitizers, ...source], { timeout: 60_000 });
    probe.child.stdin?.end('int main() { return 0; }');
    await probe;
    return undefined;
  } catch {
    return `${compiler} cannot link programs with AddressSanitizer`;
  } finally {
    await rm(output, { recursive: true, force: true });
  }
}

/** The path of AddressSanitizer's library, which a program without it must load first. */
export async function sanitizerLibrary(): Promise<string> {
  const { stdout } = await run(compiler, ['-print-file-name=libasan.so']);
  return stdout.trim();
}

/** Compiler flags, one set for each instruction set that the kernels are compiled for and this CPU has. */
export function instructionSets(): (readonly [name: string, flags: readonly string[]])[] {
  const cpu = readFileSync('/proc/cpuinfo', 'utf8');
  const has = (flag: string): boolean => new RegExp(`^flags\\s*:.*\\b${flag}\\b`, 'm').test(cpu);
  const sets: (readonly [string, readonly string[]])[] = [['the baseline', []]];
  if (has('avx2')) sets.push(['AVX2', ['-mavx2']]);
  if (has('avx512f')) sets.push(['AVX-512', ['-mavx512f']]);
  return sets;
}
