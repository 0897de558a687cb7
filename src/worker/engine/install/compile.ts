/**
 * Compiles tfjs-node's binding together with Lockstep's TensorFlow ops, and the addon for shared memory, against the
 * libraries in an engine's folder. Does not decide where the results are kept (install.ts).
 */
import { createRequire } from 'node:module';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { EngineError } from '../../../shared/errors.js';
import { engineRelease, packageDirectory, type EngineHost } from '../cache.js';
import { addonSources, opSources } from '../native-sources.js';
import { runProgram } from '../process.js';

export interface CompiledBinding {
  readonly compiler: string;
  /** False if Lockstep's own ops could not be compiled; slower kernels composed from TensorFlow's ops replace them. */
  readonly ownKernels: boolean;
}

/**
 * -ffp-contract=off keeps the ops' bits equal on every CPU; -fno-math-errno makes a square root a single instruction. Tests
 * compile native code with the same two options.
 */
const flags = [
  '-std=c++17',
  '-O3',
  '-ffp-contract=off',
  '-fno-math-errno',
  '-fPIC',
  '-shared',
  '-pthread',
  '-w',
  `-DNAPI_VERSION=${engineRelease.nodeApiVersion}`,
];

function commonArguments(): string[] {
  const { include_dir: nodeApi } = createRequire(import.meta.url)('node-api-headers') as {
    include_dir: string;
  };
  return [
    ...flags,
    ...(process.platform === 'darwin' ? ['-undefined', 'dynamic_lookup'] : []),
    `-I${nodeApi}`,
  ];
}

/** Compiles the addon for shared memory into `output`. Returns the reason if it failed; workers then use sockets, slower. */
export async function compileMemory(compiler: string, output: string): Promise<string | undefined> {
  const own = addonSources();
  if (own.length === 0) return 'the package came without its source';
  const { status, failure } = await runProgram(compiler, [...commonArguments(), ...own, '-o', output], {
    timeoutMs: 5 * 60_000,
  });
  return status === 0 ? undefined : failure;
}

/**
 * Compiles the binding into `output`, a file beside `directory`/tensorflow.
 * @throws EngineError when no compiler can compile it even without Lockstep's ops
 */
export async function compileBinding(
  host: EngineHost,
  directory: string,
  output: string,
  log: (line: string) => void,
): Promise<CompiledBinding> {
  const source = packageDirectory(host);
  if (source === undefined) {
    throw new EngineError(
      `Compiling the binding: expected the package ${engineRelease.packageName}, got none. Run \`npm install\`.`,
    );
  }
  const libraries = (await readdir(path.join(directory, 'tensorflow')))
    .filter((name) => /^libtensorflow.*\.(so|dylib)/.test(name))
    .map((name) => path.join(directory, 'tensorflow', name));
  const origin = process.platform === 'darwin' ? '@loader_path' : '$ORIGIN';
  const own = opSources();
  const argumentsFor = (sources: readonly string[]): string[] => [
    ...commonArguments(),
    `-I${path.join(directory, 'tensorflow', 'include')}`,
    `-I${path.join(source, 'binding')}`,
    ...['tfjs_backend.cc', 'tfjs_binding.cc'].map((name) => path.join(source, 'binding', name)),
    ...sources,
    '-o',
    output,
    ...libraries,
    `-Wl,-rpath,${origin}/tensorflow`,
  ];
  const given = host.variables?.['CXX'];
  const failures: string[] = [];
  for (const compiler of given ? [given] : ['c++', 'g++', 'clang++']) {
    const whole = await runProgram(compiler, argumentsFor(own), { timeoutMs: 10 * 60_000 });
    if (whole.status === 0) return { compiler, ownKernels: own.length > 0 };
    const plain = await runProgram(compiler, argumentsFor([]), { timeoutMs: 10 * 60_000 });
    if (plain.status === 0) {
      log(
        `Warning: ${compiler} can't compile Lockstep's own kernels (${whole.failure}); TensorFlow's are used, slower.`,
      );
      return { compiler, ownKernels: false };
    }
    failures.push(`${compiler}: ${plain.failure}`);
  }
  throw new EngineError(
    `Compiling the binding: expected a C++17 compiler, got ${failures.join('; ')}. ` +
      'Install one (Debian: `apt-get install g++`; macOS: `xcode-select --install`), or name it in CXX.',
  );
}
