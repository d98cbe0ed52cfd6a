#include <cmath>
#include <cstring>
#include <limits>

#include "check.h"
#include "levels.h"

namespace {

using kgan::DType;
using kgan::Levels;

// The value of a 16-bit pattern.
double decode(unsigned bits, int exponent_bits) {
    const int mantissa_bits = 15 - exponent_bits;
    const int bias = (1 << (exponent_bits - 1)) - 1;
    const int exponent = static_cast<int>((bits & 0x7FFF) >> mantissa_bits);
    const auto mantissa = static_cast<double>(bits & ((1u << mantissa_bits) - 1));
    const double unit = std::ldexp(1.0, std::max(exponent, 1) - bias - mantissa_bits);
    const double magnitude = (mantissa + (exponent == 0 ? 0 : 1 << mantissa_bits)) * unit;
    return bits & 0x8000 ? -magnitude : magnitude;
}

// Every finite pattern is kept. Halfway between two patterns rounds to the even one, and the next
// number on either side of halfway to the nearer one.
void test_rounding(int exponent_bits) {
    const unsigned infinity = ((1u << exponent_bits) - 1) << (15 - exponent_bits);
    for (unsigned bits = 0; bits < infinity; ++bits) {
        const double value = decode(bits, exponent_bits);
        CHECK(kgan::round_to_16_bits(value, exponent_bits) == bits);
        CHECK(kgan::round_to_16_bits(-value, exponent_bits) == (bits | 0x8000));
        const double halfway = (value + decode(bits + 1, exponent_bits)) / 2;
        const unsigned even = bits + (bits & 1);
        CHECK(kgan::round_to_16_bits(halfway, exponent_bits) == even);
        CHECK(kgan::round_to_16_bits(std::nextafter(halfway, 0), exponent_bits) == bits);
        CHECK(kgan::round_to_16_bits(std::nextafter(halfway, 2 * halfway), exponent_bits) ==
              bits + 1);
    }
    const double huge = std::numeric_limits<double>::max();
    CHECK(kgan::round_to_16_bits(huge, exponent_bits) == infinity);
    CHECK(kgan::round_to_16_bits(-huge, exponent_bits) == (infinity | 0x8000));
    CHECK(kgan::round_to_16_bits(HUGE_VAL, exponent_bits) == infinity);
    CHECK(kgan::round_to_16_bits(std::nan(""), exponent_bits) > infinity);
}

void test_ends_are_exact() {
    const double ranges[][2] = {{-1, 1}, {0, 1}, {0.1, 0.9}, {-1e6, 1e-3}, {-3e38, 3e38}};
    for (const auto& range : ranges) {
        const Levels levels(range[0], range[1], DType::float32);
        CHECK(levels.values32()[0] == static_cast<float>(range[0]));
        CHECK(levels.values32()[255] == static_cast<float>(range[1]));
    }
}

void test_common_ranges_are_lines() {
    CHECK(Levels(-1, 1, DType::float32).is_linear());
    CHECK(Levels(0, 1, DType::float32).is_linear());
    CHECK(Levels(-0.5, 0.5, DType::float32).is_linear());
    CHECK(Levels(0, 255, DType::float32).is_linear());
    CHECK(!Levels(0.1, 0.9, DType::float32).is_linear());
    CHECK(!Levels(-1, 1, DType::float16).is_linear());
    CHECK(!Levels::integers().is_linear());
    for (unsigned count = kgan::kMinLevels; count < kgan::kMaxLevels; ++count) {
        CHECK(!Levels(-1, 1, DType::float32, count).is_linear());
    }
}

// Each of `count` levels has its share of the 256 pixels, in order, and the ends are exact.
void test_counts() {
    for (unsigned count = kgan::kMinLevels; count <= kgan::kMaxLevels; ++count) {
        const Levels levels(-1, 1, DType::float32, count);
        CHECK(levels.count() == count && Levels::integers(count).count() == count);
        CHECK(kgan::quantized(0, count) == 0 && kgan::quantized(255, count) == count - 1);
        CHECK(levels.values32()[0] == -1 && levels.values32()[255] == 1);
        for (unsigned pixel = 0; pixel < 256; ++pixel) {
            const unsigned level = kgan::quantized(pixel, count);
            CHECK(level == static_cast<unsigned>(std::floor(pixel * (count / 256.0))));
            const double value = 2.0 * level / (count - 1) - 1;
            CHECK(std::fabs(levels.values32()[pixel] - value) < 1e-7);
            if (level > 0) {
                CHECK(level <= kgan::quantized(pixel - 1, count) + 1);
            }
        }
    }
}

void test_bad_counts() {
    for (const unsigned count : {0u, 1u, 257u, ~0u}) {
        CHECK_THROWS(Levels(-1, 1, DType::float32, count));
        CHECK_THROWS(Levels::integers(count));
    }
    CHECK_THROWS(Levels(0, 1, DType::uint8));
}

void test_item_sizes() {
    CHECK(kgan::item_size(DType::float32) == 4);
    CHECK(kgan::item_size(DType::float16) == 2);
    CHECK(kgan::item_size(DType::bfloat16) == 2);
    CHECK(kgan::item_size(DType::uint8) == 1);
}

void test_bad_ranges() {
    const double infinity = std::numeric_limits<double>::infinity();
    CHECK_THROWS(Levels(1, 1, DType::float32));
    CHECK_THROWS(Levels(1, 0, DType::float32));
    CHECK_THROWS(Levels(std::nan(""), 0, DType::float32));
    CHECK_THROWS(Levels(0, std::nan(""), DType::float32));
    CHECK_THROWS(Levels(0, infinity, DType::bfloat16));
    CHECK_THROWS(Levels(-infinity, 0, DType::bfloat16));
    CHECK_THROWS(Levels(0, 65520, DType::float16));
    CHECK_THROWS(Levels(0, 3.41e38, DType::float32));
}

}  // namespace

int main() {
    test_rounding(5);
    test_rounding(8);
    test_ends_are_exact();
    test_common_ranges_are_lines();
    test_counts();
    test_bad_counts();
    test_item_sizes();
    test_bad_ranges();
    return check::result();
}
