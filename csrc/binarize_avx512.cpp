// Takes 64 pixels at a time. A mask covers the last, short turn: a masked load or store does not
// touch masked bytes, so nothing is read or written beyond the ends.
#include "binarize.h"

#ifdef KGAN_X86_64
#ifndef __clang__
// The AVX-512 headers of GCC 12 cause false warnings: they leave some values undefined on purpose.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

namespace kgan {
namespace {

#define KGAN_AVX512 KGAN_TARGET("avx512f,avx512bw,avx512dq,avx512vl")

constexpr std::size_t kTurn = 64;

KGAN_AVX512 inline __m512i all(std::uint64_t value) {
    return _mm512_set1_epi64(static_cast<long long>(value));
}

KGAN_AVX512 inline __m512i mix8(__m512i z) {
    z = _mm512_mullo_epi64(_mm512_xor_si512(z, _mm512_srli_epi64(z, 30)), all(kMix1));
    z = _mm512_mullo_epi64(_mm512_xor_si512(z, _mm512_srli_epi64(z, 27)), all(kMix2));
    return _mm512_xor_si512(z, _mm512_srli_epi64(z, 31));
}

KGAN_AVX512 inline void draw_turn(const std::uint8_t* pixels, std::size_t first, __mmask64 mask,
                                  std::uint64_t row_key, std::uint8_t* out) {
    alignas(kTurn) constexpr std::uint64_t lanes[] = {0,         kStep,     2 * kStep, 3 * kStep,
                                                      4 * kStep, 5 * kStep, 6 * kStep, 7 * kStep};
    const __m512i full = _mm512_set1_epi8(-1);
    const __m512i levels = _mm512_maskz_loadu_epi8(mask, pixels);
    const __m512i bytes =
        mix8(_mm512_add_epi64(all(drawn_counter(row_key, first / 8, 0)), _mm512_load_si512(lanes)));
    const __mmask64 is_full = _mm512_cmpeq_epi8_mask(levels, full);
    __mmask64 on = _mm512_cmplt_epu8_mask(bytes, levels) | is_full;
    __mmask64 undecided =
        _mm512_cmpeq_epi8_mask(bytes, full) & _mm512_test_epi8_mask(levels, levels) & ~is_full;
    for (; undecided != 0; undecided &= undecided - 1) {
        const auto p = static_cast<std::size_t>(__builtin_ctzll(undecided));
        if (is_on_after_retrial(row_key, first + p, pixels[p])) on |= __mmask64{1} << p;
    }
    _mm512_mask_storeu_epi8(out, mask, _mm512_movm_epi8(on));
}

}  // namespace

KGAN_AVX512 void binarize_drawn_avx512(const std::uint8_t* pixels, std::size_t first,
                                       std::size_t count, std::uint64_t row_key,
                                       std::uint8_t* out) {
    constexpr __mmask64 whole = ~__mmask64{0};
    std::size_t p = 0;
    for (; p + kTurn <= count; p += kTurn) {
        draw_turn(pixels + p, first + p, whole, row_key, out + p);
    }
    if (p == count) return;
    const __mmask64 mask = (__mmask64{1} << (count - p)) - 1;
    draw_turn(pixels + p, first + p, mask, row_key, out + p);
}

}  // namespace kgan
#endif
