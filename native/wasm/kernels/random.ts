/**
 * The counter-based generator Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC'11).
 * src/shared/random/philox.ts defines the same generator.
 */

/** The 64-bit product of two 32-bit words. */
function product(a: u32, b: u32): u64 {
  return <u64>a * <u64>b;
}

/**
 * Writes 4 * `blocks` float32 numbers in [0, 1), each with 23 random bits, to `to`: the blocks of the counters (c0, 0,
 * c2, c3), (c0 + 1, 0, c2, c3), ... under the key (k0, k1).
 */
export function philoxUniform(k0: u32, k1: u32, c0: u32, c2: u32, c3: u32, blocks: i32, to: usize): void {
  for (let block = 0; block < blocks; block++) {
    let w0 = c0 + block;
    let w1: u32 = 0;
    let w2 = c2;
    let w3 = c3;
    let key0 = k0;
    let key1 = k1;
    for (let round = 0; round < 10; round++) {
      const a = product(0xd2511f53, w0);
      const b = product(0xcd9e8d57, w2);
      w0 = (<u32>(b >> 32)) ^ w1 ^ key0;
      w1 = <u32>b;
      w2 = (<u32>(a >> 32)) ^ w3 ^ key1;
      w3 = <u32>a;
      key0 += 0x9e3779b9;
      key1 += 0xbb67ae85;
    }
    f32.store(to, unit(w0));
    f32.store(to, unit(w1), 4);
    f32.store(to, unit(w2), 8);
    f32.store(to, unit(w3), 12);
    to += 16;
  }
}

/** The number in [0, 1) of a random word: its lower 23 bits become the mantissa of a number in [1, 2). */
function unit(word: u32): f32 {
  return reinterpret<f32>((word & 0x7fffff) | 0x3f800000) - 1;
}
