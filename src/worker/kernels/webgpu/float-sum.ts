/**
 * Addition of float32 numbers in WGSL with the bits of IEEE 754. WGSL's own addition may round either way and may treat subnormal
 * numbers as zero, so its sums could differ from those that the host computes of the same numbers. This function uses integers only.
 */

/** `addBits(a, b)` returns the pattern of the sum of the numbers with the patterns `a` and `b`, rounded to nearest, ties to even. */
export const addBitsCode = `
  fn addBits(a : u32, b : u32) -> u32 {
    let magnitudeA = a & 0x7fffffffu;
    let magnitudeB = b & 0x7fffffffu;
    if (magnitudeA > 0x7f800000u) { return a | 0x400000u; }
    if (magnitudeB > 0x7f800000u) { return b | 0x400000u; }
    // x has the larger magnitude.
    let x = select(b, a, magnitudeA >= magnitudeB);
    let y = select(a, b, magnitudeA >= magnitudeB);
    let sign = x & 0x80000000u;
    let isDifference = ((x ^ y) & 0x80000000u) != 0u;
    if ((x & 0x7fffffffu) == 0x7f800000u) {
      // The processors of x86 return this pattern for the difference of two infinities.
      return select(x, 0xffc00000u, isDifference && (y & 0x7fffffffu) == 0x7f800000u);
    }
    if ((y & 0x7fffffffu) == 0u) { return select(x, a & b, (x & 0x7fffffffu) == 0u); }
    var exponent = max((x >> 23u) & 0xffu, 1u);
    let exponentY = max((y >> 23u) & 0xffu, 1u);
    // Three bits below the last place: guard, round and sticky.
    let significandX = ((x & 0x7fffffu) | select(0u, 0x800000u, (x & 0x7f800000u) != 0u)) << 3u;
    let significandY = ((y & 0x7fffffu) | select(0u, 0x800000u, (y & 0x7f800000u) != 0u)) << 3u;
    let distance = min(exponent - exponentY, 27u);
    let isInexact = (significandY & ((1u << distance) - 1u)) != 0u;
    let aligned = (significandY >> distance) | select(0u, 1u, isInexact);
    var sum = 0u;
    if (isDifference) {
      sum = significandX - aligned;
      if (sum == 0u) { return 0u; }
      // A normal number has its first bit at position 26; a subnormal one has the smallest exponent.
      let shift = min(countLeadingZeros(sum) - 5u, exponent - 1u);
      sum = sum << shift;
      exponent = exponent - shift;
    } else {
      sum = significandX + aligned;
      if (sum >= 0x8000000u) {
        sum = (sum >> 1u) | (sum & 1u);
        exponent = exponent + 1u;
      }
    }
    let below = sum & 7u;
    var significand = sum >> 3u;
    if (below > 4u || (below == 4u && (significand & 1u) == 1u)) { significand = significand + 1u; }
    if (significand == 0x1000000u) {
      significand = 0x800000u;
      exponent = exponent + 1u;
    }
    if (exponent >= 255u) { return sign | 0x7f800000u; }
    let biased = select(exponent, 0u, significand < 0x800000u);
    return sign | (biased << 23u) | (significand & 0x7fffffu);
  }
`;
