// Blocks of a fixed size, in simple loops over bytes that compilers turn into vector code.
#include "binarize.h"

#include <cstring>

namespace kgan {
namespace {

constexpr std::size_t kBlock = 64;

void draw_block(const std::uint8_t* pixels, std::size_t first, std::uint64_t row_key,
                std::uint8_t* out) {
    std::uint8_t bytes[kBlock];
    for (std::size_t n = 0; n < kBlock / 8; ++n) {
        const std::uint64_t word = mix(drawn_counter(row_key, first / 8 + n, 0));
        for (std::size_t j = 0; j < 8; ++j) {
            bytes[8 * n + j] = static_cast<std::uint8_t>(word >> 8 * j);
        }
    }
    std::uint8_t undecided = 0;
    for (std::size_t p = 0; p < kBlock; ++p) {
        const bool is_full = pixels[p] == 255;
        out[p] = bytes[p] < pixels[p] || is_full ? 255 : 0;
        undecided |= bytes[p] == 255 && pixels[p] != 0 && !is_full ? 255 : 0;
    }
    if (undecided == 0) return;
    for (std::size_t p = 0; p < kBlock; ++p) {
        if (bytes[p] != 255 || pixels[p] == 0 || pixels[p] == 255) continue;
        out[p] = is_on_after_retrial(row_key, first + p, pixels[p]) ? 255 : 0;
    }
}

}  // namespace

void binarize_threshold(const std::uint8_t* pixels, std::size_t count, std::uint8_t* out) {
    for (std::size_t p = 0; p < count; ++p) out[p] = pixels[p] > 127 ? 255 : 0;
}

void binarize_drawn_portable(const std::uint8_t* pixels, std::size_t first, std::size_t count,
                             std::uint64_t row_key, std::uint8_t* out) {
    std::size_t p = 0;
    for (; p + kBlock <= count; p += kBlock) draw_block(pixels + p, first + p, row_key, out + p);
    if (p == count) return;
    // The last, short block is made in a copy.
    std::uint8_t last[kBlock] = {};
    std::uint8_t binary[kBlock];
    std::memcpy(last, pixels + p, count - p);
    draw_block(last, first + p, row_key, binary);
    std::memcpy(out + p, binary, count - p);
}

}  // namespace kgan
