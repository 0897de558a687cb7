/**
 * Exercises every function of the addon (native/addon.cc), whose path is the first argument, and compares the results with loops in
 * JavaScript. It runs in a Node process with AddressSanitizer, which reports accesses outside the ArrayBuffers.
 */
import assert from 'node:assert/strict';
import { closeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { crc32 } from 'node:zlib';

const addonPath = process.argv[2];
const addon = createRequire(import.meta.url)(addonPath);
const counts = [0, 1, 15, 16, 17, 63, 64, 65, 1000, 4097];
const values = (count, scale) => Float32Array.from({ length: count }, (_, i) => Math.sin(i * scale + scale));
const bits = (array) => new Uint32Array(array.buffer, array.byteOffset, array.length);

/** The nearest bfloat16 of a float32's bits, on ties the even one; no NaNs. */
const rounded = (word) => ((word + 0x7fff + ((word >>> 16) & 1)) & 0xffff0000) >>> 0;

function checkArrays(count) {
  const [left, right, out] = [values(count, 1), values(count, 3), new Float32Array(count)];
  const sum = left.map((value, i) => value + right[i]);
  addon.add(out, left, right);
  assert.deepEqual(out, sum);
  addon.addBfloat16(out, left, right);
  assert.deepEqual([...bits(out)], [...bits(sum)].map(rounded));
  assert.equal(addon.allFinite(left), true);
  for (const wrong of [Infinity, -Infinity, NaN]) {
    const changed = left.slice();
    changed[count - 1] = wrong;
    assert.equal(addon.allFinite(changed), count === 0);
  }
  const packed = new Uint16Array(count);
  const [half, back] = [left.slice(), new Float32Array(count)];
  addon.roundBfloat16(half);
  assert.deepEqual([...bits(half)], [...bits(left)].map(rounded));
  addon.packBfloat16(packed, half);
  addon.unpackBfloat16(back, packed);
  assert.deepEqual(back, half);
  const [hash, same] = [new Uint8Array(8), new Uint8Array(8)];
  addon.hash(left, hash);
  addon.hash(left.slice(), same);
  assert.deepEqual(hash, same);
  const bytes = new Uint8Array(left.buffer);
  // zlib returns 0 for an empty buffer without an address.
  if (addon.checksum) assert.equal(addon.checksum(bytes, 7), count === 0 ? 7 : crc32(bytes, 7));
  if (count > 0) assert.equal(addon.address(left.subarray(count - 1)) - addon.address(left), (count - 1) * 4);
}

/** Every wrong call throws an error that states what was expected. */
function checkErrors() {
  const [three, four] = [new Float32Array(3), new Float32Array(4)];
  const wrong = [
    () => addon.add(),
    () => addon.add(three, three, four),
    () => addon.add(three, three, new Float64Array(3)),
    () => addon.addBfloat16(three, four, three),
    () => addon.allFinite([1, 2]),
    () => addon.roundBfloat16([1, 2]),
    () => addon.packBfloat16(three, three),
    () => addon.unpackBfloat16(three, new Uint16Array(4)),
    () => addon.hash(three, new Uint8Array(7)),
    () => addon.checksum?.(three) ?? addon.add(),
    () => addon.address(new Float32Array(0)),
  ];
  for (const call of wrong) assert.throws(call, /: expected .*, got /);
}

/** Another thread publishes a word; this one waits for it, first by polling and then asleep. */
async function checkSharedMemory() {
  const bytes = 65_536;
  const descriptor = addon.create(4 * bytes);
  const [memory, again] = [addon.map(descriptor, bytes, bytes), addon.map(descriptor, bytes, bytes)];
  new Float32Array(memory)[16_382] = 1.5;
  assert.equal(new Float32Array(again)[16_382], 1.5);
  assert.equal(addon.await(memory, 0, 1, 10, 1000), false);
  const code = `
    const { workerData } = require('node:worker_threads');
    const addon = require(workerData.addonPath);
    addon.publish(addon.map(workerData.descriptor, ${bytes}, ${bytes}), 65532, 42);`;
  const worker = new Worker(code, { eval: true, workerData: { addonPath, descriptor } });
  assert.equal(addon.await(memory, 65_532, 42, 100, 30_000_000), true);
  await new Promise((resolve) => worker.once('exit', resolve));
  const outside = [
    () => addon.map(descriptor, 0, 4 * bytes + 1),
    () => addon.map(descriptor, 0, 0),
    () => addon.map(descriptor, -bytes, bytes),
  ];
  for (const call of outside) assert.throws(call, /map: expected a range inside the memory, got .*outside/);
  for (const offset of [bytes, bytes - 3, -4])
    assert.throws(() => addon.publish(memory, offset, 1), /publish: expected an aligned offset/);
  assert.throws(() => addon.await(memory, 0, 1), /await: expected .*fewer arguments/);
  assert.throws(() => addon.map(-1, 0, bytes), /fstat failed/);
  closeSync(descriptor);
  // The mapping outlives the descriptor.
  assert.equal(new Float32Array(memory)[16_382], 1.5);
}

for (const count of counts) checkArrays(count);
checkErrors();
if (addon.create) await checkSharedMemory();
process.stdout.write('done\n');
