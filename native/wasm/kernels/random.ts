/** Philox4x32-10 (src/shared/random/philox.ts has the same function and its source). */

/** The high word of a product of two words in bits 32 to 63, the low one below. */
function product(a: u32, b: u32): u64 {
  return <u64>a * <u64>b;
}

/**
 * `blocks` times four float32 in [0, 1) with 23 random bits, from counters (c0, 0, c2, c3), (c0 + 1, 0, c2, c3), ... under the
 * key (k0, k1).
 */
export function philoxUniform(k0: u32, k1: u32, c0: u32, c2: u32, c3: u32, blocks: i32, to: usize): void {
  for (let block = 0; block < blocks; block++) {
    let w0 = c0 + block;
    let w1: u32 = 0;
    let w2 = c2;
    let w3 = c3;
    let low = k0;
    let high = k1;
    for (let round = 0; round < 10; round++) {
      const a = product(0xd2511f53, w0);
      const b = product(0xcd9e8d57, w2);
      w0 = (<u32>(b >> 32)) ^ w1 ^ low;
      w1 = <u32>b;
      w2 = (<u32>(a >> 32)) ^ w3 ^ high;
      w3 = <u32>a;
      low += 0x9e3779b9;
      high += 0xbb67ae85;
    }
    f32.store(to, unit(w0));
    f32.store(to, unit(w1), 4);
    f32.store(to, unit(w2), 8);
    f32.store(to, unit(w3), 12);
    to += 16;
  }
}

function unit(word: u32): f32 {
  return reinterpret<f32>((word & 0x7fffff) | 0x3f800000) - 1;
}
