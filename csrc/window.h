// The part of a padded image that is in the batch, and whether it is mirrored: random crops and
// horizontal flips.
//
// The draws are words of counter.h, so they depend on the key and the row of the image alone. With
// key = row_key(window.key, row):
//
//   top   = word(key, 0) * (padded height - window height + 1) / 2^64, rounded down
//   left  = word(key, 1) * (padded width - window width + 1) / 2^64, rounded down
//   mirrored if the highest bit of word(key, 2) is 1
//
// The probabilities of two positions differ by less than 2^-64. A draw that is not asked for leaves
// the others as they are.
#pragma once

#include <cstddef>
#include <cstdint>

#include "counter.h"

namespace kgan {

struct Window {
    std::size_t height;
    std::size_t width;
    bool moves = false;    // to a position that is drawn; otherwise in the centre
    bool mirrors = false;  // images with probability 1/2
    std::uint64_t key = 0;
};

// Where the window of an image is in the padded image.
struct Place {
    std::size_t top;
    std::size_t left;
    bool is_mirrored;
};

// The upper 64 bits of the product, without a type of 128 bits.
constexpr std::uint64_t high_product(std::uint64_t a, std::uint64_t b) {
    constexpr std::uint64_t low = 0xFFFFFFFFu;
    const std::uint64_t cross = (a >> 32) * (b & low) + ((a & low) * (b & low) >> 32);
    const std::uint64_t other = (a & low) * (b >> 32) + (cross & low);
    return (a >> 32) * (b >> 32) + (cross >> 32) + (other >> 32);
}

// The place of a window that leaves `spare_height` rows and `spare_width` columns of the padded
// image of `row`. In the centre, an odd spare row or column comes after the window, as in padding.
constexpr Place place_of(const Window& window, std::size_t spare_height, std::size_t spare_width,
                         std::uint64_t row) {
    const std::uint64_t key = row_key(window.key, row);
    Place place{spare_height / 2, spare_width / 2, false};
    if (window.moves) {
        place.top = static_cast<std::size_t>(high_product(word(key, 0), spare_height + 1));
        place.left = static_cast<std::size_t>(high_product(word(key, 1), spare_width + 1));
    }
    if (window.mirrors) place.is_mirrored = word(key, 2) >> 63 == 1;
    return place;
}

}  // namespace kgan
