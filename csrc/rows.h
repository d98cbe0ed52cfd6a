// Converts a run of pixels into float32 values, in a version for each instruction set.
//
// All versions give the same bits, those of Levels. They read exactly `count` bytes, write exactly
// `count` floats, and need no alignment of `pixels`.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compiler.h"
#include "levels.h"

namespace kgan {

using ConvertRow = void (*)(const std::uint8_t* pixels, float* values, std::size_t count,
                            const Levels& levels);

#ifdef KGAN_X86_64
// Both need levels.is_linear().
void convert_row_avx2(const std::uint8_t* pixels, float* values, std::size_t count,
                      const Levels& levels);
void convert_row_avx512(const std::uint8_t* pixels, float* values, std::size_t count,
                        const Levels& levels);
#endif

}  // namespace kgan
