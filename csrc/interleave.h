// Interleaves three channels of bytes into pixels, in a version for each instruction set.
//
// All versions give the same bytes. They read exactly `count` bytes of each channel, write exactly
// 3 * count, and need no alignment.
#pragma once

#include <cstddef>
#include <cstdint>

#include "rows.h"

namespace kgan {

// The most pixels that a version takes at a time.
constexpr std::size_t kInterleavedPixels = 16;

using Interleave3 = void (*)(const std::uint8_t* a, const std::uint8_t* b, const std::uint8_t* c,
                             std::size_t count, std::uint8_t* out);

#ifdef KGAN_X86_64
void interleave3_avx2(const std::uint8_t* a, const std::uint8_t* b, const std::uint8_t* c,
                      std::size_t count, std::uint8_t* out);
#endif

}  // namespace kgan
