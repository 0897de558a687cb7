/** Downloads Python wheels with the first pip that works. No Python package is run or installed. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { EngineError } from '../../../shared/errors.js';
import { engineRelease } from '../cache.js';
import { runProgram } from '../process.js';

const pips: readonly (readonly [string, ...string[]])[] = [
  ['python3', '-m', 'pip'],
  ['python', '-m', 'pip'],
  ['pip3'],
  ['pip'],
];

/** Python version that pip downloads for; the library is the same in every wheel. */
const python = [
  '--python-version',
  '3.11',
  '--implementation',
  'cp',
  '--abi',
  'cp311',
  '--abi',
  'none',
  '--abi',
  'abi3',
];

function platforms(): string[] {
  const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  if (process.platform === 'darwin') return ['--platform', 'macosx_12_0_arm64'];
  if (process.platform !== 'linux') return [];
  const tags = ['manylinux_2_28', 'manylinux_2_27', 'manylinux_2_17', 'manylinux2014', 'manylinux1'];
  return tags.flatMap((tag) => ['--platform', `${tag}_${machine}`]);
}

/** Returns the package with the C++ library for this machine. */
export function tensorflowRequirement(variant: 'cpu' | 'cuda'): string {
  const cpuOnly = variant === 'cpu' && process.platform === 'linux' && process.arch === 'x64';
  return `${cpuOnly ? 'tensorflow-cpu' : 'tensorflow'}==${engineRelease.tensorflowVersion}`;
}

/** A name and versions, e.g. `nvidia-cublas-cu12<13.0,>=12.5.3.2`: nothing that pip takes for an option, a path or an address. */
const requirementPattern =
  /^[A-Za-z0-9][A-Za-z0-9._-]*(\s*\(?(==|>=|<=|~=|!=|<|>)\s*[A-Za-z0-9.*+!_-]+(\s*,\s*(==|>=|<=|~=|!=|<|>)\s*[A-Za-z0-9.*+!_-]+)*\)?)?$/;

/**
 * Downloads the wheels of `requirements` into the empty folder `directory`. pip runs in that folder, because Python looks for modules
 * in the working folder first. Returns the paths.
 * @throws EngineError
 */
export async function downloadWheels(requirements: readonly string[], directory: string): Promise<string[]> {
  const wrong = requirements.find((requirement) => !requirementPattern.test(requirement));
  if (wrong !== undefined)
    throw new EngineError(
      `pip download: expected requirements of names and versions, got ${JSON.stringify(wrong.slice(0, 200))}.`,
    );
  const failures: string[] = [];
  for (const [program, ...first] of pips) {
    const args = [
      ...first,
      'download',
      '--no-deps',
      '--only-binary=:all:',
      '--disable-pip-version-check',
      '--quiet',
    ];
    const { status, failure } = await runProgram(
      program,
      [...args, ...python, ...platforms(), '--dest', directory, '--', ...requirements],
      { timeoutMs: 30 * 60_000, cwd: directory },
    );
    if (status === 0) {
      const names = await readdir(directory);
      return names.filter((name) => name.endsWith('.whl')).map((name) => path.join(directory, name));
    }
    failures.push([program, ...first].join(' ') + `: ${failure}`);
    // A pip that ran and failed would also fail under its other names.
    if (!failure.includes('not found') && !failure.includes('No module named pip')) break;
  }
  throw new EngineError(
    `pip download ${requirements.join(' ')}: expected a wheel, got ${failures.join('; ')}.`,
  );
}
