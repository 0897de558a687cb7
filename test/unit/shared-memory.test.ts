import { execFile } from 'node:child_process';
import { homedir } from 'node:os';
import { crc32 } from 'node:zlib';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { hangMs } from '../support/eventually.js';
import { addFloat32, portable, type Arithmetic } from '../../src/shared/collectives/reduction.js';
import { VectorLayout, bytesOf, vectorsIn } from '../../src/shared/collectives/vector-layout.js';
import { loadNativeMemory } from '../../src/shared/memory/native-memory.js';
import { SharedMemory, pageBytes } from '../../src/shared/memory/shared-memory.js';
import { shardRanges } from '../../src/shared/sharding/ranges.js';
import { engineHost, findMemoryAddon } from '../../src/worker/engine/cache.js';

const addon = findMemoryAddon(engineHost(process.env, homedir()));
const native = loadNativeMemory(addon);
const own = SharedMemory.create(native);
afterAll(() => own?.memory.close());

function owned(): NonNullable<typeof own> {
  if (!own) throw new Error('the engine was installed without its addon for shared memory');
  return own;
}

describe('shared memory', () => {
  it('is read and written by another process', async () => {
    const { memory, address } = owned();
    const mine = new Float32Array(memory.map(pageBytes, 4_096));
    mine.set([1.5, 2.5]);
    const [pid, descriptor] = address.split('/');
    const script = `
      const native = require(${JSON.stringify(addon)});
      const fd = require('fs').openSync('/proc/${pid ?? ''}/fd/${descriptor ?? ''}', 'r+');
      const theirs = new Float32Array(native.map(fd, ${pageBytes}, 4096));
      theirs[2] = theirs[0] + theirs[1];`;
    await promisify(execFile)(process.execPath, ['-e', script], { timeout: hangMs });
    expect([...mine.subarray(0, 3)]).toEqual([1.5, 2.5, 4]);
  });

  it('is opened by its exact address only', () => {
    const { memory, address } = owned();
    const [pid, descriptor, token] = address.split('/') as [string, string, string];
    const other = `${token.startsWith('0') ? '1' : '0'}${token.slice(1)}`;
    expect(SharedMemory.open(native, `${pid}/${descriptor}/${other}`)).toBeUndefined();
    expect(SharedMemory.open(native, `${pid}/2147483647/${token}`)).toBeUndefined();
    expect(SharedMemory.open(native, `../${descriptor}/${token}`)).toBeUndefined();
    expect(SharedMemory.open(native, null)).toBeUndefined();
    const opened = SharedMemory.open(native, address);
    const there = new Uint8Array(memory.map(2 * pageBytes, 16));
    there[7] = 42;
    expect(opened && new Uint8Array(opened.map(2 * pageBytes, 16))[7]).toBe(42);
    opened?.close();
  });

  it('refuses a region that is not inside', () => {
    const { memory } = owned();
    for (const [offset, bytes] of [
      [0, 2 ** 40],
      [2 ** 36, 1],
      [-pageBytes, pageBytes],
      [0, 0],
    ] as const) {
      expect(() => memory.map(offset, bytes), `${offset}, ${bytes}`).toThrow(/outside/);
    }
  });
});

describe('the native sum', () => {
  it('has the bits of the loop in JavaScript, and refuses other lengths', () => {
    const count = 10_007;
    const values = (scale: number): Float32Array =>
      Float32Array.from({ length: count }, (_, i) => Math.sin(i * scale) * 2 ** ((i % 60) - 30));
    const [left, right] = [values(1), values(3)];
    const expected = new Float32Array(count);
    addFloat32(expected, left, right);
    native?.add(left, left, right);
    expect(Buffer.from(left.buffer).equals(Buffer.from(expected.buffer))).toBe(true);
    expect(() => native?.add(left, left, right.subarray(1))).toThrow(/one length/);
  });
});

describe('the layout of vectors', () => {
  it('gives the vectors of every worker regions that are large enough and do not overlap', () => {
    for (const [shards, workers] of [
      [1, 1],
      [8, 3],
      [2, 4],
      [7, 5],
    ] as const) {
      const ranges = shardRanges(shards, workers);
      const layout = new VectorLayout(ranges);
      const [first, second] = [layout.add(100_003), layout.add(1)];
      for (const [rank, range] of ranges.entries()) {
        const [a, b] = [first[rank], second[rank]];
        if (!a || !b) throw new Error(`no place for rank ${rank}`);
        expect(a.offset).toBeGreaterThanOrEqual(pageBytes);
        expect(a.offset % pageBytes).toBe(0);
        expect(a.bytes).toBeGreaterThanOrEqual(bytesOf(range, 100_003));
        expect(b.offset).toBeGreaterThanOrEqual(a.offset + a.bytes);
        const { inputs, output } = vectorsIn(new ArrayBuffer(a.bytes), range, 100_003);
        expect(inputs).toHaveLength(range.end - range.start);
        expect([...inputs, output].every((vector) => vector.length === 100_003)).toBe(true);
      }
    }
  });

  it('comes with a CRC-32 equal to that of zlib, at any length and alignment, in one piece or in two', () => {
    const { checksum } = native ?? {};
    if (!checksum) return; // Another kind of CPU.
    const bytes = Buffer.from(Array.from({ length: 1_100 }, (_, i) => (i * 2_654_435_761) >>> 13));
    for (let length = 0; length <= 1_050; length += length < 200 ? 1 : 85) {
      for (const start of [0, 1, 7, 16]) {
        const part = bytes.subarray(start, start + length);
        expect(checksum(part, 0)).toBe(crc32(part));
        expect(checksum(part, 12_345)).toBe(crc32(part, 12_345));
      }
    }
  });

  it('comes with a rounding to bfloat16 equal to that in JavaScript, for numbers of every kind', () => {
    const bits = Uint32Array.from({ length: 4_096 }, (_, i) => Math.imul(i, 2_654_435_761) ^ (i << 20));
    bits.set([0, 0x80000000, 0x7f800000, 0xff800000, 0x7f800001, 0xffffffff, 0x7f7fffff, 1, 0x8000, 0x18000]);
    const [left, right] = [new Float32Array(bits.buffer), new Float32Array(bits.slice().reverse().buffer)];
    const run = ({ addBfloat16, roundBfloat16, packBfloat16, unpackBfloat16 }: Arithmetic): Buffer[] => {
      const [sum, rounded, back] = [left.slice(), left.slice(), left.slice()];
      addBfloat16(sum, left, right);
      roundBfloat16(rounded);
      const packed = new Uint16Array(rounded.length);
      packBfloat16(packed, rounded);
      unpackBfloat16(back, packed);
      // Which NaN comes of two is the processor's choice.
      const sums = sum.map((value) => (Number.isNaN(value) ? Number.NaN : value));
      return [sums, rounded, packed, back].map(({ buffer }) => Buffer.from(buffer));
    };
    const expected = run(portable);
    expect(run({ ...portable, ...native })).toEqual(expected);
    expect(expected[3]).toEqual(expected[1]);
  });
});
