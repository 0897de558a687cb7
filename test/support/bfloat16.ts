/** Bfloat16 in plain JavaScript, for tests: the upper half of a float32. */

/** Rounds to the nearest bfloat16, ties to even. */
export function roundToBfloat16(value: number): number {
  const words = new Uint32Array(Float32Array.of(value).buffer);
  const word = words[0] as number;
  words[0] = (word + 0x7fff + ((word >>> 16) & 1)) & 0xffff0000;
  return new Float32Array(words.buffer)[0] as number;
}
