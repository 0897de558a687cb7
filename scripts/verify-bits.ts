/**
 * The promise of equal bits, checked in full through the real command: `npm run verify:bits`. Prints a table a check and ends
 * with status 1 when any result differs from the first of its check, in the weights or in the loss of any step.
 *
 *   --steps N     steps of the ConvNet on MNIST at each number of workers (120)
 *   --repeat N    how often the same run is repeated (10); 0: not at all
 *   --load        with other work on every core while it is repeated
 *   --only NAMES  of workers,epochs,repeat
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { writeSmallMnist } from '../test/support/small-mnist.js';
import { bitsOf, type Bits } from './bits.js';

const { values } = parseArgs({
  options: {
    steps: { type: 'string', default: '120' },
    repeat: { type: 'string', default: '10' },
    load: { type: 'boolean', default: false },
    only: { type: 'string', default: 'workers,epochs,repeat' },
  },
});

const places = [...[1, 2, 3, 4, 5, 7, 8].map((n) => ['--workers', String(n)]), ['--single-process']];
const common = ['--shards', '8', '--batch-size', '60', '--seed', '7', '--threads', '1'];

interface Outcome extends Bits {
  readonly seconds: number;
}

function run(args: readonly string[]): Outcome {
  const out = mkdtempSync(path.join(os.tmpdir(), 'lockstep-verify-'));
  const all = ['dist/cli/main.js', 'train', ...common, ...args, '--out', out, '--json'];
  try {
    const begun = performance.now();
    const limits = { timeout: 900_000, maxBuffer: 2 ** 28 };
    const { stdout, stderr, status } = spawnSync(process.execPath, all, { encoding: 'utf8', ...limits });
    if (status !== 0) throw new Error(`${args.join(' ')} ended with status ${status ?? 'none'}: ${stderr}`);
    return { ...bitsOf(stdout), seconds: (performance.now() - begun) / 1000 };
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

/** Runs each variant, prints a line for it, and says whether all agree. */
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

/** Processes that compute without end, one a core. */
function makeLoad(): ChildProcess[] {
  const busy = 'const a = new Float64Array(4e6); for (;;) for (let i = 0; i < a.length; i++) a[i] += i;';
  return os.cpus().map(() => spawn(process.execPath, ['-e', busy], { stdio: 'ignore' }));
}

const cores = os.cpus();
console.log(`${cores[0]?.model ?? ''}, ${cores.length} cores, Node ${process.version}`);
const chosen = values.only.split(',');
const named = places.map((args) => ({ name: args.join(' ').replaceAll('--', ''), args }));
let same = true;

if (chosen.includes('workers')) {
  const steps = ['--max-steps', values.steps, '--evaluate', 'none'];
  const variants = named.map(({ name, args }) => ({ name, args: [...steps, ...args] }));
  same = check(`ConvNet on MNIST, ${common.join(' ')}`, variants) && same;
}

if (chosen.includes('epochs')) {
  const data = mkdtempSync(path.join(os.tmpdir(), 'lockstep-verify-data-'));
  await writeSmallMnist(data, 640);
  const twice = ['--data', data, '--epochs', '2'];
  const variants = named.map(({ name, args }) => ({ name, args: [...twice, ...args] }));
  // 640 = 10 * 60 + 40: both epochs end with a partial batch, and each with an evaluation.
  same = check('ConvNet on 640 pictures, two epochs with their evaluations', variants) && same;
  rmSync(data, { recursive: true, force: true });
}

const repeats = Number(values.repeat);
if (chosen.includes('repeat') && repeats > 0) {
  const load = values.load ? makeLoad() : [];
  try {
    const args = ['--workers', '2', '--max-steps', '60', '--evaluate', 'none'];
    const variants = Array.from({ length: repeats }, (_, i) => ({ name: `run ${i + 1}`, args }));
    const title = `The same run ${repeats} times${values.load ? ', every core busy with other work' : ''}`;
    same = check(title, variants) && same;
  } finally {
    for (const child of load) child.kill('SIGKILL');
  }
}

console.log(same ? '\nAll the same bits.' : '\nDIFFERENT bits.');
process.exitCode = same ? 0 : 1;
