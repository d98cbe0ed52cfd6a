// Takes sixteen pixels at a time, like rows_avx2.cpp. Masks cover the ends: a masked load or store
// does not touch masked bytes, so nothing is read or written beyond the ends. A short first turn
// aligns `values` to a cache line, because a 64-byte store across two lines costs as much as two.
#include "rows.h"

#ifdef KGAN_X86_64
#ifndef __clang__
// The AVX-512 headers of GCC 12 cause false warnings: they leave some values undefined on purpose.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

namespace kgan {
namespace {

#define KGAN_AVX512 KGAN_TARGET("avx512f,avx512bw,avx512vl")

struct Line {
    __m512 zero;
    __m512 scale;
    __m512 tail;
};

KGAN_AVX512 inline void convert16(const std::uint8_t* pixels, float* values, __mmask16 mask,
                                  const Line& line) {
    const __m512i integers = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, pixels));
    const __m512 t = _mm512_sub_ps(_mm512_cvtepi32_ps(integers), line.zero);
    const __m512 result = _mm512_fmadd_ps(t, line.scale, _mm512_mul_ps(t, line.tail));
    _mm512_mask_storeu_ps(values, mask, result);
}

inline __mmask16 first_lanes(std::size_t count) {
    return static_cast<__mmask16>((1u << count) - 1u);
}

}  // namespace

KGAN_AVX512 void convert_row_avx512(const std::uint8_t* pixels, float* values, std::size_t count,
                                    const Levels& levels) {
    const Line line{_mm512_set1_ps(levels.zero()), _mm512_set1_ps(levels.scale()),
                    _mm512_set1_ps(levels.scale_tail())};
    std::size_t i = (64 - reinterpret_cast<std::uintptr_t>(values) % 64) % 64 / sizeof(float);
    if (i > count) i = count;
    if (i != 0) convert16(pixels, values, first_lanes(i), line);
    for (; i + 16 <= count; i += 16) convert16(pixels + i, values + i, 0xFFFF, line);
    if (i < count) convert16(pixels + i, values + i, first_lanes(count - i), line);
}

}  // namespace kgan
#endif
