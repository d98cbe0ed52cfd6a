// Binarises pixels: each becomes level 0 or level 255, by a threshold or by a random draw.
//
// A drawn pixel of level v is on with probability v / 255, exactly. The draw needs a number u that
// is uniform on 0..254: the pixel is on if u < v. So level 0 is never on and level 255 always is.
// A uniform byte serves as u unless it is 255: then the pixel takes the byte of its next trial.
// Scaling a random number to 255 values would be biased, since 255 divides no power of two.
//
// The bytes come from a counter, not from a state. So the draw of a pixel depends on the key, the
// row of its image and its position in the image alone. Batches, threads and instruction sets do
// not change it. All arithmetic is modulo 2^64:
//
//   row_key(key, row)         = mix(key + (row + 1) * kStep)
//   word(row_key, n, trial)   = mix(row_key + (n + trial * 2^40 + 1) * kStep)
//   byte of pixel p, trial t  = byte p % 8 (0 is the lowest) of word(row_key, p / 8, t)
//
// This is SplitMix64 (Steele, Lea and Flood, 2014): `mix` is its finaliser and `kStep` its
// increment. It passes the usual statistical tests and takes two multiplications for eight pixels;
// Philox4x32-10 takes ten. `mix` is a bijection, so the trials of a pixel differ and come to an
// end.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compiler.h"

namespace kgan {

enum class Binarization {
    none,       // pixels keep their levels
    threshold,  // a pixel is on if its level is above 127
    drawn       // a pixel is on with probability level / 255
};

struct Binarize {
    Binarization how = Binarization::none;
    std::uint64_t key = 0;  // selects the draws of `drawn`
};

constexpr std::uint64_t kStep = 0x9E3779B97F4A7C15u;
constexpr std::uint64_t kMix1 = 0xBF58476D1CE4E5B9u;
constexpr std::uint64_t kMix2 = 0x94D049BB133111EBu;

constexpr std::uint64_t mix(std::uint64_t z) {
    z = (z ^ (z >> 30)) * kMix1;
    z = (z ^ (z >> 27)) * kMix2;
    return z ^ (z >> 31);
}

constexpr std::uint64_t row_key(std::uint64_t key, std::uint64_t row) {
    return mix(key + (row + 1) * kStep);
}

// Before it is mixed: the vector code mixes several counters at once.
constexpr std::uint64_t drawn_counter(std::uint64_t row_key, std::uint64_t number,
                                      std::uint64_t trial) {
    return row_key + (number + (trial << 40) + 1) * kStep;
}

constexpr std::uint8_t drawn_byte(std::uint64_t row_key, std::uint64_t pixel, std::uint64_t trial) {
    const std::uint64_t word = mix(drawn_counter(row_key, pixel / 8, trial));
    return static_cast<std::uint8_t>(word >> 8 * (pixel % 8));
}

// Whether a pixel is on whose byte of trial 0 is 255.
constexpr bool is_on_after_retrial(std::uint64_t row_key, std::uint64_t pixel, std::uint8_t level) {
    std::uint64_t trial = 1;
    while (drawn_byte(row_key, pixel, trial) == 255) ++trial;
    return drawn_byte(row_key, pixel, trial) < level;
}

// The functions below read exactly `count` bytes, write exactly `count` bytes, 0 or 255, and need
// no alignment.

void binarize_threshold(const std::uint8_t* pixels, std::size_t count, std::uint8_t* out);

// Binarises pixels [first, first + count) of an image, which begin at `pixels`. `first` must be a
// multiple of 8. All instruction sets write the same bytes.
using BinarizeDrawn = void (*)(const std::uint8_t* pixels, std::size_t first, std::size_t count,
                               std::uint64_t row_key, std::uint8_t* out);

void binarize_drawn_portable(const std::uint8_t* pixels, std::size_t first, std::size_t count,
                             std::uint64_t row_key, std::uint8_t* out);
#ifdef KGAN_X86_64
void binarize_drawn_avx2(const std::uint8_t* pixels, std::size_t first, std::size_t count,
                         std::uint64_t row_key, std::uint8_t* out);
void binarize_drawn_avx512(const std::uint8_t* pixels, std::size_t first, std::size_t count,
                           std::uint64_t row_key, std::uint8_t* out);
#endif

}  // namespace kgan
