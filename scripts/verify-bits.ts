/**
 * Verifies that results are bit-for-bit identical for any number of workers, with the compiled command: `npm run verify:bits`. Prints one
 * table per check. The exit status is 1 if a result differs from the first of its check in the weights, an evaluation or a loss.
 *
 *   --steps N     steps of the MNIST ConvNet for each number of workers (default: 120)
 *   --repeat N    repetitions of the same run (default: 10); 0 skips this check
 *   --load        keep every core busy during the repetitions
 *   --only NAMES  comma-separated list of checks: workers, epochs, repeat (default: all)
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { writeSmallMnist } from '../test/support/small-mnist.js';
import { bitsOf, type RunBits } from './bits.js';

const { values } = parseArgs({
  options: {
    steps: { type: 'string', default: '120' },
    repeat: { type: 'string', default: '10' },
    load: { type: 'boolean', default: false },
    only: { type: 'string', default: 'workers,epochs,repeat' },
  },
});

const processOptions = [...[1, 2, 3, 4, 5, 7, 8].map((n) => ['--workers', String(n)]), ['--single-process']];
const common = ['--shards', '8', '--batch-size', '60', '--seed', '7', '--threads', '1'];

interface Outcome extends RunBits {
  readonly seconds: number;
}

function run(args: readonly string[]): Outcome {
  const out = mkdtempSync(path.join(os.tmpdir(), 'lockstep-verify-'));
  const all = ['dist/cli/main.js', 'train', ...common, ...args, '--out', out, '--json'];
  try {
    const startedMs = performance.now();
    const limits = { timeout: 900_000, maxBuffer: 2 ** 28 };
    const { stdout, stderr, status } = spawnSync(process.execPath, all, { encoding: 'utf8', ...limits });
    if (status !== 0)
      throw new Error(`${args.join(' ')}: expected exit status 0, got ${status ?? 'none'}: ${stderr}`);
    return { ...bitsOf(stdout), seconds: (performance.now() - startedMs) / 1000 };
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

/** Runs each variant and prints one line for it. Returns true if all results are equal. */
function check(title: string, variants: readonly { name: string; args: readonly string[] }[]): boolean {
  console.log(`\n${title}`);
  let first: Outcome | undefined;
  let same = true;
  for (const { name, args } of variants) {
    const result = run(args);
    first ??= result;
    const equal = result.bits === first.bits;
    same &&= equal;
    const { steps, loss, weightsSha256, seconds } = result;
    console.log(
      `  ${name.padEnd(18)} ${steps} steps  last loss ${loss}  weights ${weightsSha256.slice(0, 16)}  ` +
        `${seconds.toFixed(0).padStart(4)} s  ${equal ? 'same' : 'DIFFERENT'}`,
    );
  }
  return same;
}

/** Starts one process per core that computes until it is killed. */
function startLoad(): ChildProcess[] {
  const busy = 'const a = new Float64Array(4e6); for (;;) for (let i = 0; i < a.length; i++) a[i] += i;';
  return os.cpus().map(() => spawn(process.execPath, ['-e', busy], { stdio: 'ignore' }));
}

const cores = os.cpus();
console.log(`${cores[0]?.model ?? ''}, ${cores.length} cores, Node ${process.version}`);
const selected = values.only.split(',');
const setups = processOptions.map((args) => ({ name: args.join(' ').replaceAll('--', ''), args }));
let same = true;

if (selected.includes('workers')) {
  const steps = ['--max-steps', values.steps, '--evaluate', 'none'];
  const variants = setups.map(({ name, args }) => ({ name, args: [...steps, ...args] }));
  same = check(`ConvNet on MNIST, ${common.join(' ')}`, variants) && same;
}

if (selected.includes('epochs')) {
  const data = mkdtempSync(path.join(os.tmpdir(), 'lockstep-verify-data-'));
  await writeSmallMnist(data, 640);
  const twice = ['--data', data, '--epochs', '2'];
  const variants = setups.map(({ name, args }) => ({ name, args: [...twice, ...args] }));
  // 640 = 10 * 60 + 40, so both epochs end with a partial batch and an evaluation.
  same = check('ConvNet on 640 images, two epochs with evaluations', variants) && same;
  rmSync(data, { recursive: true, force: true });
}

const repeats = Number(values.repeat);
if (selected.includes('repeat') && repeats > 0) {
  const load = values.load ? startLoad() : [];
  try {
    const args = ['--workers', '2', '--max-steps', '60', '--evaluate', 'none'];
    const variants = Array.from({ length: repeats }, (_, i) => ({ name: `run ${i + 1}`, args }));
    const title = `The same run ${repeats} times${values.load ? ', all cores busy with other work' : ''}`;
    same = check(title, variants) && same;
  } finally {
    for (const child of load) child.kill('SIGKILL');
  }
}

console.log(same ? '\nAll results are identical.' : '\nResults DIFFER.');
process.exitCode = same ? 0 : 1;
