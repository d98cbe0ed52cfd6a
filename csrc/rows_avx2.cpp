// Takes eight pixels at a time, widens them to float32 and applies the line that Levels has fitted.
// This gives the bits of the table and is faster. The last count % 8 pixels use the table, so
// nothing is read or written beyond the ends.
#include "rows.h"

#ifdef KGAN_X86_64
#include <immintrin.h>

namespace kgan {

KGAN_TARGET("avx2,fma")
void convert_row_avx2(const std::uint8_t* pixels, float* values, std::size_t count,
                      const Levels& levels) {
    const __m256 zero = _mm256_set1_ps(levels.zero());
    const __m256 scale = _mm256_set1_ps(levels.scale());
    const __m256 tail = _mm256_set1_ps(levels.scale_tail());
    std::size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(pixels + i));
        const __m256 t = _mm256_sub_ps(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)), zero);
        _mm256_storeu_ps(values + i, _mm256_fmadd_ps(t, scale, _mm256_mul_ps(t, tail)));
    }
    for (; i < count; ++i) values[i] = levels.values32()[pixels[i]];
}

}  // namespace kgan
#endif
