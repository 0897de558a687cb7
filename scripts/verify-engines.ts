/**
 * The promise of `--engine wasm`, checked through the real command: one hash under every Node and whatever V8 does to run
 * WebAssembly (`npm run verify:engines`). Fetches the other Nodes from npm into a temporary folder. Prints a table and ends with
 * status 1 when any result differs from the first, in the weights, an evaluation or the loss of any step.
 *
 *   --steps N      steps of the ConvNet on MNIST (10)
 *   --nodes LIST   major versions (20,22,24); empty: this Node alone
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
/** V8's ways to run code, and the instruction sets that it may use. */
const ways: readonly (readonly string[])[] = [
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
  readonly place: readonly string[];
}

function train({ node, flags, place }: Variant): { bits: string; weightsSha256: string; seconds: number } {
  const out = mkdtempSync(path.join(os.tmpdir(), 'lockstep-verify-'));
  const args = [...flags, 'dist/cli/main.js', 'train', ...run, '--max-steps', values.steps, ...place];
  try {
    const begun = performance.now();
    const limits = { timeout: 600_000, maxBuffer: 2 ** 28 };
    const all = [...args, '--out', out, '--json'];
    const { stdout, stderr, status, error } = spawnSync(node, all, { encoding: 'utf8', ...limits });
    if (status !== 0) {
      const how = error?.message ?? `status ${status ?? 'none'}: ${stderr}`;
      throw new Error(`${node} ${all.join(' ')}: ${how}`);
    }
    return { ...bitsOf(stdout), seconds: (performance.now() - begun) / 1000 };
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

const folder = mkdtempSync(path.join(os.tmpdir(), 'lockstep-nodes-'));
try {
  const others = values.nodes.split(',').filter(Boolean);
  const variants: Variant[] = [
    ...ways.map((flags) => ({
      name: ['this Node', ...flags].join(' '),
      node: process.execPath,
      flags,
      place: ['--single-process'],
    })),
    ...(await Promise.all(
      others.map(async (major) => ({
        name: `Node ${major}, 2 workers`,
        node: await nodeOf(major, folder),
        flags: [],
        place: ['--workers', '2'],
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
