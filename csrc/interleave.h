// Puts three channels of bytes beside each other, pixel by pixel, once for each instruction set.
//
// All of them give the same bytes, read exactly `count` of each channel, write exactly 3 * count,
// and ask no alignment of any pointer.
#pragma once

#include <cstddef>
#include <cstdint>

#include "rows.h"

namespace kgan {

// No instruction set takes more pixels a turn.
constexpr std::size_t kInterleavedPixels = 16;

using Interleave3 = void (*)(const std::uint8_t* a, const std::uint8_t* b, const std::uint8_t* c,
                             std::size_t count, std::uint8_t* out);

#ifdef KGAN_X86_64
void interleave3_avx2(const std::uint8_t* a, const std::uint8_t* b, const std::uint8_t* c,
                      std::size_t count, std::uint8_t* out);
#endif

}  // namespace kgan
