/**
 * Verifies that `--engine wasm` gives identical results under every Node version and every way in which V8 executes WebAssembly, with the
 * compiled command: `npm run verify:engines`. Installs other Node versions from npm into a temporary folder. Prints a table. The exit status
 * is 1 if a result differs from the first in the weights, an evaluation or a loss.
 *
 *   --steps N      steps of the MNIST ConvNet (default: 10)
 *   --nodes LIST   comma-separated major versions (default: 20,22,24); empty: the running Node only
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { bitsOf } from './bits.js';
import { nodeOf } from './node-versions.js';

const { values } = parseArgs({
  options: {
    steps: { type: 'string', default: '10' },
    nodes: { type: 'string', default: '20,22,24' },
  },
});

const run = ['--engine', 'wasm', '--shards', '5', '--batch-size', '32', '--seed', '7', '--evaluate', 'none'];
/** Flags that select V8's compilers and instruction sets. */
const v8Flags: readonly (readonly string[])[] = [
  [],
  ['--no-opt'],
  ['--liftoff-only'],
  ['--no-liftoff'],
  ...(process.arch === 'x64' ? [['--no-enable-avx', '--no-enable-avx2', '--no-enable-fma3']] : []),
];

interface Variant {
  readonly name: string;
  readonly node: string;
  readonly flags: readonly string[];
  readonly processOptions: readonly string[];
}

function train({ node, flags, processOptions }: Variant): {
  bits: string;
  weightsSha256: string;
  seconds: number;
} {
  const out = mkdtempSync(path.join(os.tmpdir(), 'lockstep-verify-'));
  const args = [
    ...flags,
    'dist/cli/main.js',
    'train',
    ...run,
    '--max-steps',
    values.steps,
    ...processOptions,
  ];
  try {
    const startedMs = performance.now();
    const limits = { timeout: 600_000, maxBuffer: 2 ** 28 };
    const all = [...args, '--out', out, '--json'];
    const { stdout, stderr, status, error } = spawnSync(node, all, { encoding: 'utf8', ...limits });
    if (status !== 0) {
      const reason = error?.message ?? `status ${status ?? 'none'}: ${stderr}`;
      throw new Error(`${node} ${all.join(' ')}: ${reason}`);
    }
    return { ...bitsOf(stdout), seconds: (performance.now() - startedMs) / 1000 };
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

const folder = mkdtempSync(path.join(os.tmpdir(), 'lockstep-nodes-'));
try {
  const others = values.nodes.split(',').filter(Boolean);
  const variants: Variant[] = [
    ...v8Flags.map((flags) => ({
      name: ['this Node', ...flags].join(' '),
      node: process.execPath,
      flags,
      processOptions: ['--single-process'],
    })),
    ...(await Promise.all(
      others.map(async (major) => ({
        name: `Node ${major}, 2 workers`,
        node: await nodeOf(major, folder),
        flags: [],
        processOptions: ['--workers', '2'],
      })),
    )),
  ];
  console.log(`${os.cpus()[0]?.model ?? ''}, ${process.platform} ${process.arch}, Node ${process.version}`);
  console.log(`ConvNet on MNIST, ${run.join(' ')} --max-steps ${values.steps}`);
  let first: string | undefined;
  for (const variant of variants) {
    const { bits, weightsSha256, seconds } = train(variant);
    const version = execFileSync(variant.node, ['--version'], { encoding: 'utf8' }).trim();
    first ??= bits;
    const verdict = bits === first ? 'same' : 'DIFFERENT';
    if (bits !== first) process.exitCode = 1;
    const shown = `${weightsSha256.slice(0, 16)}  ${seconds.toFixed(0).padStart(4)} s  ${verdict}`;
    console.log(`  ${variant.name.padEnd(60)} ${version.padEnd(10)} ${shown}`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
