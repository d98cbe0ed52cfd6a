// Binarises pixels: each becomes level 0 or level 255, by a threshold or by a random draw.
//
// A drawn pixel of level v is on with probability v / 255, exactly. The draw needs a number u that
// is uniform on 0..254: the pixel is on if u < v. So level 0 is never on and level 255 always is.
// A uniform byte serves as u unless it is 255: then the pixel takes the byte of its next trial.
// Scaling a random number to 255 values would be biased, since 255 divides no power of two.
//
// The bytes are those of counter.h's words:
//
//   word of pixels 8n to 8n + 7, trial t  = word(row_key, n + t * 2^40)
//   byte of pixel p, trial t              = byte p % 8 (0 is the lowest) of its word
//
// The trials of a pixel differ and come to an end, since the words of a row differ.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compiler.h"
#include "counter.h"

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
