/** The processor of this machine, for engines whose bits depend on it. */

import { readFileSync } from 'node:fs';
import os from 'node:os';
import type { ProcessorIdentity } from './engine.js';

/** Instruction sets that select TensorFlow's and Lockstep's kernels. */
const relevant =
  /^(?:avx|avx2|fma|avx512f|avx512bw|avx512dq|avx512vl|avx512_vnni|avx512_bf16|avx512_fp16|avx_vnni|amx_tile|amx_bf16|amx_int8|asimd|sve|bf16)$/;

/** The value for engines whose bits do not depend on the processor. */
export const anyProcessor: ProcessorIdentity = { cpu: 'any', instructions: '' };

export function thisProcessor(): ProcessorIdentity {
  return describeCpu(process.platform === 'linux' ? readCpuInfo() : '');
}

/**
 * Returns the family and instruction sets of the first processor in /proc/cpuinfo. The family determines the cache sizes, and
 * these the blocks of products and thus the order of sums.
 */
function describeCpu(cpuinfo: string): ProcessorIdentity {
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
