/**
 * Lockstep's all-reduce beside Gloo's, in turn: `npm run bench:allreduce -- [rounds]`. LOCKSTEP_PYTHON names a Python with PyTorch;
 * without one Gloo is left out.
 */
import { execFileSync, type ExecFileSyncOptionsWithStringEncoding } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { median } from '../src/shared/arithmetic/quantile.js';
import { machineLine } from './measure.js';

const [rounds = 5] = process.argv.slice(2).map(Number);
/** Small vectors take microseconds: so many that what a program does at its start is not in the median. */
const classes = [
  { sizes: [512, 65_536], repetitions: 1_000 },
  { sizes: [7_800_000, 25_000_000, 100_000_000], repetitions: 30 },
] as const;
const sizes = classes.flatMap((one): readonly number[] => one.sizes);
const gloo = fileURLToPath(new URL('./peers/gloo_allreduce.py', import.meta.url));
const python = process.env['LOCKSTEP_PYTHON'] ?? 'python3';
const options: ExecFileSyncOptionsWithStringEncoding = {
  encoding: 'utf8',
  timeout: 300_000,
  stdio: ['ignore', 'pipe', 'ignore'],
};

interface Lockstep {
  readonly results: readonly { readonly microseconds: number; readonly memcpyMicroseconds: number }[];
}

function lockstep(sharedMemory: 'auto' | 'off'): Lockstep['results'] {
  return classes.flatMap(({ sizes: some, repetitions }) => {
    const asked = ['--bytes', some.join(','), '--rounds', String(repetitions)];
    const args = ['dist/cli/main.js', 'bench', 'allreduce', '--json', ...asked];
    const answer = execFileSync(process.execPath, [...args, '--shared-memory', sharedMemory], options);
    return (JSON.parse(answer) as Lockstep).results;
  });
}

function peer(): readonly number[] | undefined {
  try {
    return classes.flatMap(({ sizes: some, repetitions }) => {
      const answer = execFileSync(python, [gloo, '2', String(repetitions), ...some.map(String)], options);
      return (JSON.parse(answer) as { results: number[] }).results;
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
  const shared = lockstep('auto');
  add(
    'shared memory',
    shared.map(({ microseconds }) => microseconds),
  );
  add(
    'memcpy',
    shared.map(({ memcpyMicroseconds }) => memcpyMicroseconds),
  );
  const theirs = peer();
  if (theirs) add('Gloo', theirs);
  else if (round === 0) console.log('Gloo is left out: no PyTorch (LOCKSTEP_PYTHON).');
  add(
    'sockets',
    lockstep('off').map(({ microseconds }) => microseconds),
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
