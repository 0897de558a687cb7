/**
 * TensorFlow with CUDA for tests on machines without a GPU: wheels with the layout of the real ones, whose TensorFlow computes on the CPU
 * (test/native/standin_cuda_tensorflow.c), a driver, and a program `nvidia-smi`.
 */

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { engineDirectory, engineHost } from '../../src/worker/engine/cache.js';
import { isWanted } from '../../src/worker/engine/install/wheel.js';
import { wheelOf } from './wheel.js';

const source = fileURLToPath(new URL('../native/standin_cuda_tensorflow.c', import.meta.url));
const cpuEngine = engineDirectory(engineHost(process.env, os.homedir()), 'cpu');
const real = join(cpuEngine, 'tensorflow');

/** The packages of the extra `and-cuda`, the folders of their libraries below nvidia/, and the libraries. */
export const cudaPackages: readonly (readonly [
  name: string,
  folder: string,
  libraries: readonly string[],
])[] = [
  ['nvidia_cuda_runtime_cu12', 'cuda_runtime', ['libcudart.so.12']],
  ['nvidia_cublas_cu12', 'cublas', ['libcublas.so.12', 'libcublasLt.so.12']],
  ['nvidia_cufft_cu12', 'cufft', ['libcufft.so.11']],
  ['nvidia_cusolver_cu12', 'cusolver', ['libcusolver.so.11']],
  ['nvidia_cusparse_cu12', 'cusparse', ['libcusparse.so.12']],
  ['nvidia_cudnn_cu12', 'cudnn', ['libcudnn.so.9']],
];

/** The reason why the stand-ins cannot be made here; undefined if they can. */
export function missingForStandin(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'needs Linux on x64';
  if (!existsSync(join(real, 'libtensorflow_cc.so.2')))
    return 'needs TensorFlow for the CPU, see `lockstep engine install`';
  try {
    for (const program of ['gcc', 'g++']) execFileSync(program, ['--version'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'needs a C and a C++ compiler';
  }
}

function compile(code: string, output: string, ...options: readonly string[]): void {
  execFileSync('gcc', ['-shared', '-fPIC', '-x', 'c', code, '-o', output, ...options]);
}

/** Compiles a library with a soname that contains nothing but a function. */
async function compileStub(
  folder: string,
  name: string,
  code = 'int standin(void) { return 0; }',
): Promise<string> {
  await mkdir(folder, { recursive: true });
  const file = join(folder, `${name}.c`);
  await writeFile(file, code);
  compile(file, join(folder, name), `-Wl,-soname,${name}`);
  return join(folder, name);
}

/** The library that stands in for TensorFlow, which finds the CUDA libraries as the real one does: by a RUNPATH. */
async function compileTensorflow(folder: string): Promise<{ library: string; framework: string }> {
  const links = join(folder, 'links');
  await mkdir(links, { recursive: true });
  // The loader tells libraries apart by the name under which they are requested, so the real ones have other names.
  for (const name of ['cc', 'framework']) {
    await symlink(join(real, `libtensorflow_${name}.so.2`), join(links, `libtensorflow_${name}_cpu.so.2`));
    await compileStub(join(folder, 'stubs'), `libtensorflow_${name}_cpu.so.2`);
  }
  const stubs = ['cc', 'framework'].map((name) => join(folder, 'stubs', `libtensorflow_${name}_cpu.so.2`));
  const [ccStub = '', frameworkStub = ''] = stubs;
  const [library, framework] = ['cc', 'framework'].map((name) => join(folder, `libtensorflow_${name}.so.2`));
  const runpath = cudaPackages.map(([, nvidia]) => `$ORIGIN/../nvidia/${nvidia}/lib`).join(':');
  const plain = join(folder, 'framework.c');
  await writeFile(plain, 'int standin_framework(void) { return 0; }');
  // `-x none` ends the language C of the option before, so that the libraries are linked.
  const link = (
    code: string,
    output: string,
    soname: string,
    paths: string,
    inputs: readonly string[],
  ): void =>
    compile(
      code,
      output,
      `-Wl,-soname,${soname}`,
      `-Wl,-rpath,$ORIGIN:${paths}`,
      '-Wl,--no-as-needed',
      '-Wl,--enable-new-dtags',
      '-x',
      'none',
      ...inputs,
    );
  link(plain, framework!, 'libtensorflow_framework.so.2', links, [frameworkStub]);
  link(source, library!, 'libtensorflow_cc.so.2', `${runpath}:${links}`, [
    framework!,
    ccStub,
    '-ldl',
    '-lpthread',
  ]);
  return { library: library!, framework: framework! };
}

function headers(): Record<string, Buffer> {
  const names = readdirSync(join(real, 'include'), { recursive: true, encoding: 'utf8' });
  return Object.fromEntries(
    names
      .map((name) => `tensorflow/include/${name}`)
      .filter(isWanted)
      .map((name) => [name, readFileSync(join(cpuEngine, name))]),
  );
}

const wheelText = (tag: string): Buffer => Buffer.from(`Wheel-Version: 1.0\nTag: ${tag}\n`);

/** Writes the wheels of TensorFlow and of the CUDA libraries, as pip downloads them, into `folder`. */
export async function writeCudaWheels(folder: string): Promise<void> {
  const build = join(folder, '..', 'standin-build');
  await mkdir(folder, { recursive: true });
  await mkdir(build, { recursive: true });
  const { library, framework } = await compileTensorflow(build);
  const requirements = cudaPackages.map(
    ([name]) => `Requires-Dist: ${name.replaceAll('_', '-')}<13.0,>=12.5.1; extra == "and-cuda"`,
  );
  const name = 'tensorflow-2.21.0';
  const tag = 'cp311-cp311-manylinux_2_27_x86_64';
  const metadata = ['Metadata-Version: 2.1', 'Name: tensorflow', 'Version: 2.21.0', ...requirements, ''].join(
    '\n',
  );
  const files = {
    ...headers(),
    'tensorflow/libtensorflow_cc.so.2': readFileSync(library),
    'tensorflow/libtensorflow_framework.so.2': readFileSync(framework),
    'tensorflow/__init__.py': Buffer.from(''),
    [`${name}.dist-info/WHEEL`]: wheelText(tag),
  };
  await writeFile(join(folder, `${name}-${tag}.whl`), wheelOf(files, { name, metadata }));
  for (const [packageName, nvidia, libraries] of cudaPackages) {
    const contents: Record<string, Buffer> = {
      [`${packageName}-12.5.1.dist-info/WHEEL`]: wheelText('py3-none-manylinux2014_x86_64'),
      [`nvidia/${nvidia}/__init__.py`]: Buffer.from(''),
    };
    for (const file of libraries)
      contents[`nvidia/${nvidia}/lib/${file}`] = readFileSync(await compileStub(join(build, nvidia), file));
    const lines = [
      'Metadata-Version: 2.1',
      `Name: ${packageName.replaceAll('_', '-')}`,
      'Version: 12.5.1',
      '',
    ];
    await writeFile(
      join(folder, `${packageName}-12.5.1-py3-none-manylinux2014_x86_64.whl`),
      wheelOf(contents, { name: `${packageName}-12.5.1`, metadata: lines.join('\n') }),
    );
  }
}

/** Compiles another library of the same name, which the loader prefers if its folder is in LD_LIBRARY_PATH. */
export const compileOtherLibrary = compileStub;

/** Returns variables for a process on a machine with GPUs: a driver in LD_LIBRARY_PATH, and `nvidia-smi` in PATH. */
export async function standinDriver(
  folder: string,
  { gpus, version = '550.54.15' }: { readonly gpus: readonly number[]; readonly version?: string },
): Promise<Record<string, string>> {
  const library = join(folder, 'driver');
  await compileStub(library, 'libcuda.so.1', 'int cuInit(unsigned flags) { (void)flags; return 0; }');
  return { LD_LIBRARY_PATH: library, ...(await standinNvidiaSmi(folder, gpus, version)) };
}

/** Returns a PATH with a program `nvidia-smi` that lists these GPUs and this version of the driver. */
export async function standinNvidiaSmi(
  folder: string,
  gpus: readonly number[],
  version: string,
): Promise<{ PATH: string }> {
  const programs = join(folder, `programs-${version}-${gpus.join('-')}`);
  await mkdir(programs, { recursive: true });
  const file = join(programs, 'nvidia-smi');
  const lines = (text: (gpu: number) => string): string =>
    gpus.map((gpu) => `echo "${text(gpu)}"`).join('\n') || ':';
  await writeFile(
    file,
    `#!/bin/sh
case "$*" in
  *driver_version*) ${lines((gpu) => `${gpu}, ${version}`)} ;;
  *) ${lines(String)} ;;
esac
`,
  );
  await chmod(file, 0o755);
  return { PATH: `${programs}${delimiter}${process.env['PATH'] ?? ''}` };
}
