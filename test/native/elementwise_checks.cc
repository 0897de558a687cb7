// Compares native/elementwise.h, ledger_hash.h, bfloat16.h and dropout.h with scalar loops, published test vectors and
// float64, at sizes around the vector width and the block of the hash.

#include "../../native/bfloat16.h"
#include "../../native/dropout.h"
#include "../../native/elementwise.h"
#include "checks.h"

namespace {

using namespace checks;

const std::vector<int64_t> kCounts = {0, 1, 15, 16, 17, 63, 64, 65, 1023, 1024, 1025, 3000};

uint32_t RotateLeft(uint32_t x, int by) { return (x << by) | (x >> (32 - by)); }

// The definition in src/shared/ledger/hash.ts, word by word.
std::vector<uint32_t> ReferenceHash(const Floats& values) {
  std::vector<uint32_t> state(64);
  for (uint32_t lane = 0; lane < 64; lane++) state[lane] = 0x9e3779b9u * (lane + 1);
  for (size_t i = 0; i < values.size(); i++) {
    uint32_t word;
    std::memcpy(&word, &values[i], 4);
    state[i % 64] = RotateLeft((state[i % 64] ^ word) * 0x85ebca6bu, 13);
  }
  uint32_t a = static_cast<uint32_t>(values.size()), b = ~a;
  for (uint32_t lane : state) {
    a = RotateLeft((a ^ lane) * 0xc2b2ae35u, 15);
    b = RotateLeft((b ^ lane) * 0x27d4eb2fu, 11);
  }
  return {a ^ (b >> 16), b ^ (a >> 15)};
}

void CheckHashes(int64_t count) {
  const std::string name = " of " + std::to_string(count);
  const Floats values = Uniforms(count, 1);
  std::vector<uint32_t> hash(2);
  lockstep::Hash(values.data(), count, hash.data());
  ExpectEqual("hash" + name, hash, ReferenceHash(values));
  for (bool hashed : {false, true}) {
    Floats copy(count);
    std::vector<uint32_t> copied(2);
    lockstep::Copy(copy.data(), values.data(), count, hashed ? copied.data() : nullptr);
    ExpectEqual("copy" + name, copy, values);
    if (hashed) ExpectEqual("hash of a copy" + name, copied, ReferenceHash(values));
  }
}

void CheckAdam(int64_t count) {
  const std::string name = "Adam of " + std::to_string(count) + ", ";
  const double beta1 = 0.9, beta2 = 0.999, correction = std::sqrt(1 - beta2 * beta2), epsilon = 1e-8, step = 1e-3;
  const Floats gradient = Uniforms(count, 2), initial = Uniforms(count, 3), momentum = Uniforms(count, 4);
  Floats p = initial, m = momentum, v(count), out(count);
  for (int64_t i = 0; i < count; i++) v[i] = momentum[i] * momentum[i];
  const Floats v_before = v;
  const Floats scalars = {static_cast<float>(1 - beta1),  static_cast<float>(beta2),   static_cast<float>(1 - beta2),
                          static_cast<float>(correction), static_cast<float>(epsilon), static_cast<float>(-step)};
  std::vector<uint32_t> hash(2);
  lockstep::Adam(p.data(), m.data(), v.data(), gradient.data(), scalars.data(), count, out.data(), hash.data());
  Doubles expected_p(count), expected_m(count), expected_v(count);
  for (int64_t i = 0; i < count; i++) {
    const double g = gradient[i];
    expected_m[i] = beta1 * momentum[i] + (1 - beta1) * g;
    expected_v[i] = beta2 * v_before[i] + (1 - beta2) * g * g;
    expected_p[i] = initial[i] - step * expected_m[i] / (std::sqrt(expected_v[i]) / correction + epsilon);
  }
  ExpectClose(name + "p", p, expected_p, 1e-6);
  ExpectClose(name + "m", m, expected_m, 1e-6);
  ExpectClose(name + "v", v, expected_v, 1e-6);
  ExpectEqual(name + "output", out, p);
  ExpectEqual(name + "hash", hash, ReferenceHash(p));
}

float FromBits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

// The nearest bfloat16 by its distance in float64, on ties the one with an even last bit.
uint32_t ReferenceBfloat16(uint32_t bits) {
  const float value = FromBits(bits);
  if (std::isnan(value)) return (bits | 0x400000u) & 0xffff0000u;
  if (std::isinf(value)) return bits;
  const uint32_t below = bits & 0xffff0000u, above = below + 0x10000u;
  const double magnitude = std::fabs(static_cast<double>(value)), lower = std::fabs(FromBits(below));
  // The value that follows the largest finite bfloat16 would be 2^128.
  const double upper = std::isinf(FromBits(above)) ? std::ldexp(1.0, 128) : std::fabs(FromBits(above));
  if (magnitude - lower != upper - magnitude) return magnitude - lower < upper - magnitude ? below : above;
  return (below & 0x10000u) == 0 ? below : above;
}

void CheckBfloat16(int64_t count) {
  const std::string name = " of " + std::to_string(count);
  Random random(5);
  Floats values(count), expected(count);
  const uint32_t special[] = {0,           0x80000000u, 0x7f800000u, 0xff800000u, 0x7f800001u,
                              0xffffffffu, 0x7f7fffffu, 1,           0x8000,      0x18000};
  for (int64_t i = 0; i < count; i++) {
    const uint32_t bits = i < 10 ? special[i] : i % 3 == 0 ? (random.Word() & 0xffff0000u) | 0x8000u : random.Word();
    values[i] = FromBits(bits);
    expected[i] = FromBits(ReferenceBfloat16(bits));
  }
  Floats rounded = values;
  lockstep::RoundBfloat16(rounded.data(), count);
  ExpectEqual("bfloat16" + name, rounded, expected);
  std::vector<uint16_t> packed(count);
  Floats unpacked(count);
  lockstep::PackBfloat16(packed.data(), rounded.data(), count);
  lockstep::UnpackBfloat16(unpacked.data(), packed.data(), count);
  ExpectEqual("packed bfloat16" + name, unpacked, rounded);
}

void CheckSums(int64_t count) {
  const std::string name = " of " + std::to_string(count);
  const Floats left = Uniforms(count, 6), right = Uniforms(count, 7);
  Floats expected(count), rounded(count), sum = left, sum_bfloat16 = right;
  for (int64_t i = 0; i < count; i++) {
    expected[i] = left[i] + right[i];
    uint32_t bits;
    std::memcpy(&bits, &expected[i], 4);
    rounded[i] = FromBits(ReferenceBfloat16(bits));
  }
  // The output is an operand.
  lockstep::Add(sum.data(), sum.data(), right.data(), count);
  lockstep::AddBfloat16(sum_bfloat16.data(), left.data(), sum_bfloat16.data(), count);
  ExpectEqual("sum" + name, sum, expected);
  ExpectEqual("bfloat16 sum" + name, sum_bfloat16, rounded);
}

// An infinity or NaN is found at every position; the largest and the smallest finite values are not.
void CheckFinite(int64_t count) {
  const std::string name = " of " + std::to_string(count);
  Floats values = Uniforms(count, 8);
  for (uint32_t finite : {0x7f7fffffu, 0xff7fffffu, 0x00000001u, 0x80000000u}) {
    if (count > 0) values[count / 2] = FromBits(finite);
    ExpectEqual("finite" + name, uint32_t{lockstep::AllFinite(values.data(), count)}, 1u);
  }
  for (int64_t i = 0; i < count; i++) {
    const float before = values[i];
    for (uint32_t wrong : {0x7f800000u, 0xff800000u, 0x7fc00000u, 0x7f800001u}) {
      values[i] = FromBits(wrong);
      ExpectEqual("not finite" + name, uint32_t{lockstep::AllFinite(values.data(), count)}, 0u);
    }
    values[i] = before;
  }
}

struct PhiloxVector {
  uint32_t key[2], counter[4], numbers[4];
};
// Known answers of Random123 (kat_vectors, philox4x32 with 10 rounds).
const PhiloxVector kPhiloxVectors[] = {
    {{0, 0}, {0, 0, 0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0xa4093822, 0x299f31d0},
     {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

std::vector<uint32_t> PhiloxBlock(const uint32_t* key, const uint32_t* counter) {
  uint32_t words[4][lockstep::kPhiloxBlocks];
  for (int w = 0; w < 4; w++)
    for (int i = 0; i < lockstep::kPhiloxBlocks; i++) words[w][i] = counter[w];
  lockstep::Philox(key[0], key[1], words);
  return {words[0][7], words[1][7], words[2][7], words[3][7]};
}

void CheckDropout(int64_t columns) {
  const float rate = 0.3f, scale = 1 / 0.7f;
  const uint32_t counter[5] = {11, 12, 0xfffffffeu, 13, 14}, block = 3;
  const Floats x = Uniforms(columns, 8);
  Floats y(columns), expected(columns);
  lockstep::Dropout(x.data(), counter, block, rate, scale, columns, y.data());
  for (int64_t i = 0; i < columns; i++) {
    // Counter word 0 wraps around.
    const uint32_t words[4] = {counter[2] + block + static_cast<uint32_t>(i / 4), 0, counter[3], counter[4]};
    const double number = (PhiloxBlock(counter, words)[i % 4] & 0x7fffffu) / 8388608.0;
    expected[i] = x[i] * (number >= static_cast<double>(rate) ? scale : 0.0f);
  }
  ExpectEqual("dropout of " + std::to_string(columns), y, expected);
}

}  // namespace

int main() {
  for (int64_t count : kCounts) {
    CheckHashes(count);
    CheckAdam(count);
    CheckBfloat16(count);
    CheckSums(count);
    CheckFinite(count);
    CheckDropout(count);
  }
  for (const PhiloxVector& known : kPhiloxVectors)
    ExpectEqual("Philox", PhiloxBlock(known.key, known.counter),
                std::vector<uint32_t>(known.numbers, known.numbers + 4));
  return ExitStatus();
}
