/** The ledger's hash of a float32 vector. src/shared/ledger/hash.ts defines the same function and explains it. */

const lanes: i32 = 64;

function rotateLeft(x: u32, by: i32): u32 {
  return rotl(x, by);
}

/** Writes the hash of values[count] to the 8 bytes at `out`. `state` is scratch memory for 64 words. */
export function hash(values: usize, count: i32, state: usize, out: usize): void {
  for (let lane = 0; lane < lanes; lane++) i32.store(state + lane * 4, <u32>0x9e3779b9 * (lane + 1));
  const factor = i32x4.splat(<i32>0x85ebca6b);
  let i = 0;
  for (; i + lanes <= count; i += lanes) {
    for (let at = 0; at < lanes * 4; at += 16) {
      const mixed = i32x4.mul(v128.xor(v128.load(state + at), v128.load(values + i * 4 + at)), factor);
      v128.store(state + at, v128.or(i32x4.shl(mixed, 13), i32x4.shr_u(mixed, 19)));
    }
  }
  for (let lane = 0; i < count; i++, lane++) {
    const mixed = ((<u32>i32.load(state + lane * 4)) ^ (<u32>i32.load(values + i * 4))) * <u32>0x85ebca6b;
    i32.store(state + lane * 4, rotateLeft(mixed, 13));
  }
  let a = <u32>count;
  let b = ~a;
  for (let lane = 0; lane < lanes; lane++) {
    const word = <u32>i32.load(state + lane * 4);
    a = rotateLeft((a ^ word) * <u32>0xc2b2ae35, 15);
    b = rotateLeft((b ^ word) * <u32>0x27d4eb2f, 11);
  }
  i32.store(out, a ^ (b >> 16));
  i32.store(out, b ^ (a >> 15), 4);
}
