/**
 * Compares Lockstep's all-reduce with Gloo's, in alternating order: `npm run bench:allreduce -- [rounds]`. LOCKSTEP_PYTHON is the
 * path of a Python with PyTorch; without it, Gloo is skipped.
 */
import { execFileSync, type ExecFileSyncOptionsWithStringEncoding } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { median } from '../src/shared/arithmetic/quantile.js';
import { machineLine } from './measure.js';

const [rounds = 5] = process.argv.slice(2).map(Number);
/** Small vectors take microseconds and need enough repetitions to keep start-up effects out of the median. */
const classes = [
  { sizes: [512, 65_536], repetitions: 1_000 },
  { sizes: [7_800_000, 25_000_000, 100_000_000], repetitions: 30 },
] as const;
const sizes = classes.flatMap((sizeClass): readonly number[] => sizeClass.sizes);
const glooProgram = fileURLToPath(new URL('./peers/gloo_allreduce.py', import.meta.url));
const python = process.env['LOCKSTEP_PYTHON'] ?? 'python3';
const options: ExecFileSyncOptionsWithStringEncoding = {
  encoding: 'utf8',
  timeout: 300_000,
  stdio: ['ignore', 'pipe', 'ignore'],
};

interface LockstepOutput {
  readonly results: readonly { readonly microseconds: number; readonly memcpyMicroseconds: number }[];
}

function runLockstep(sharedMemory: 'auto' | 'off'): LockstepOutput['results'] {
  return classes.flatMap(({ sizes: classSizes, repetitions }) => {
    const sizeOptions = ['--bytes', classSizes.join(','), '--rounds', String(repetitions)];
    const args = ['dist/cli/main.js', 'bench', 'allreduce', '--json', ...sizeOptions];
    const output = execFileSync(process.execPath, [...args, '--shared-memory', sharedMemory], options);
    return (JSON.parse(output) as LockstepOutput).results;
  });
}

function runGloo(): readonly number[] | undefined {
  try {
    return classes.flatMap(({ sizes: classSizes, repetitions }) => {
      const output = execFileSync(
        python,
        [glooProgram, '2', String(repetitions), ...classSizes.map(String)],
        options,
      );
      return (JSON.parse(output) as { results: number[] }).results;
    });
  } catch {
    return undefined;
  }
}

const names = ['shared memory', 'sockets', 'Gloo', 'memcpy'] as const;
const measured = new Map(names.map((name) => [name, sizes.map((): number[] => [])]));
const add = (name: (typeof names)[number], values: readonly number[]): void =>
  values.forEach((value, i) => measured.get(name)?.[i]?.push(value));
for (let round = 0; round < rounds; round++) {
  const shared = runLockstep('auto');
  add(
    'shared memory',
    shared.map(({ microseconds }) => microseconds),
  );
  add(
    'memcpy',
    shared.map(({ memcpyMicroseconds }) => memcpyMicroseconds),
  );
  const gloo = runGloo();
  if (gloo) add('Gloo', gloo);
  else if (round === 0)
    console.log('Gloo is skipped: no PyTorch found. Set LOCKSTEP_PYTHON to a Python with PyTorch.');
  add(
    'sockets',
    runLockstep('off').map(({ microseconds }) => microseconds),
  );
}
console.log(`${machineLine()}, 2 processes, microseconds, medians of ${rounds} rounds\n`);
console.log(`| bytes | ${names.join(' | ')} | Lockstep / Gloo |\n| --- | --- | --- | --- | --- | --- |`);
for (const [i, bytes] of sizes.entries()) {
  const values = names.map((name) => median(measured.get(name)?.[i] ?? []));
  const ratio = (values[0] ?? Number.NaN) / (values[2] ?? Number.NaN);
  const shown = values.map((value) => (Number.isNaN(value) ? '-' : value.toFixed(0)));
  console.log(`| ${bytes} | ${shown.join(' | ')} | ${Number.isNaN(ratio) ? '-' : ratio.toFixed(2)} |`);
}
