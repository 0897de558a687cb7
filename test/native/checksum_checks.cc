// Compares native/checksum.h with the definition of CRC-32, bit by bit, and with its published check value, at every
// length and alignment around the block sizes.

#include "../../native/checksum.h"
#include "checks.h"

#ifdef LOCKSTEP_HAS_CRC

namespace {

uint32_t ReferenceCrc(const uint8_t* data, size_t bytes, uint32_t before) {
  uint32_t crc = ~before;
  for (size_t i = 0; i < bytes; i++)
    for (int bit = 0; bit < 8; bit++) {
      const uint32_t difference = (crc ^ (data[i] >> bit)) & 1;
      crc = (crc >> 1) ^ (difference ? 0xedb88320u : 0);
    }
  return ~crc;
}

}  // namespace

int main() {
  if (!lockstep::HasCrc()) {
    std::puts("skipped: this CPU has no carry-less multiplication");
    return 0;
  }
  const uint8_t digits[] = {'1', '2', '3', '4', '5', '6', '7', '8', '9'};
  checks::ExpectEqual("CRC-32 of 123456789", lockstep::Crc(digits, sizeof digits, 0), 0xcbf43926u);
  checks::Random random(1);
  for (size_t bytes = 0; bytes <= 300; bytes++)
    for (size_t offset : {0, 1, 7, 15}) {
      // The buffer ends with the last byte.
      std::vector<uint8_t> data(offset + bytes);
      for (uint8_t& byte : data) byte = static_cast<uint8_t>(random.Word() >> 24);
      for (uint32_t before : {0u, 12345u})
        checks::ExpectEqual("CRC-32 of " + std::to_string(bytes) + " bytes at " + std::to_string(offset),
                            lockstep::Crc(data.data() + offset, bytes, before),
                            ReferenceCrc(data.data() + offset, bytes, before));
    }
  return checks::ExitStatus();
}

#else

int main() {
  std::puts("skipped: the checksum is not compiled for this architecture");
  return 0;
}

#endif
