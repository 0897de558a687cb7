/**
 * The properties besides the configuration on which a worker's bits depend; they are compared when workers join. Two machines
 * with equal properties run the same kernels with the same instructions.
 */
import { readFileSync } from 'node:fs';
import os from 'node:os';
import type { WorkerIdentity } from '../../shared/protocol/messages.js';
import type { Engine } from './load.js';

/** Instruction sets that select TensorFlow's and Lockstep's kernels. */
const relevant =
  /^(?:avx|avx2|fma|avx512f|avx512bw|avx512dq|avx512vl|avx512_vnni|avx512_bf16|avx512_fp16|avx_vnni|amx_tile|amx_bf16|amx_int8|asimd|sve|bf16)$/;

/** Identity in WebAssembly, which is specified to the bit, so the processor is not part of it. */
const anyCpu = { cpu: 'any', instructions: '' };

/** @param kernels the name of the kernels' implementation */
export function identityOf(engine: Engine, kernels: string): WorkerIdentity {
  return {
    engine: `${engine.kind} ${engine.version}`,
    kernels,
    device: engine.device.kind === 'gpu' ? `gpu ${engine.device.name}` : 'cpu',
    threads: String(engine.device.threads),
    ...(engine.kind === 'wasm' ? anyCpu : describeCpu(process.platform === 'linux' ? readCpuInfo() : '')),
  };
}

/**
 * Returns the family and instruction sets of the first processor in /proc/cpuinfo. The family determines the cache sizes, and
 * these the blocks of products and thus the order of sums.
 */
export function describeCpu(cpuinfo: string): Pick<WorkerIdentity, 'cpu' | 'instructions'> {
  const [first = ''] = cpuinfo.split('\n\n');
  const field = (name: string): string | undefined =>
    new RegExp(`^${name}\\s*:\\s*(.*)$`, 'm').exec(first)?.[1];
  const family = [field('vendor_id'), field('cpu family'), field('model'), field('cache size')];
  const cpu = family.every((part) => part !== undefined)
    ? `${process.arch} ${family.join(' ')}`
    : `${process.arch} ${os.cpus()[0]?.model.trim() ?? 'unknown'}`;
  const flags = (field('flags') ?? field('Features') ?? '').split(' ').filter((flag) => relevant.test(flag));
  return { cpu: cpu.slice(0, 200), instructions: flags.sort().join(' ') };
}

function readCpuInfo(): string {
  try {
    return readFileSync('/proc/cpuinfo', 'utf8').slice(0, 65_536);
  } catch {
    return '';
  }
}
