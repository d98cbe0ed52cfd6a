// Compares binarised pixels with the definition in binarize.h, on every instruction set.
// test_batch.cpp and the fuzzer look for reads and writes beyond the ends.
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "batch.h"
#include "binarize.h"
#include "check.h"

namespace {

using namespace kgan;

using Bytes = std::vector<std::uint8_t>;

BinarizeDrawn draw_of([[maybe_unused]] InstructionSet set) {
#ifdef KGAN_X86_64
    if (set == InstructionSet::avx512) return binarize_drawn_avx512;
    if (set == InstructionSet::avx2) return binarize_drawn_avx2;
#endif
    return binarize_drawn_portable;
}

// SplitMix64's published outputs for the state 0: a word is the output of its counter.
void test_mix() {
    CHECK(mix(kStep) == 0xE220A8397B1DCDAFu);
    CHECK(mix(2 * kStep) == 0x6E789E6AA1B965F4u);
    CHECK(mix(3 * kStep) == 0x06C45D188009454Fu);
    CHECK(mix(drawn_counter(0, 0, 0)) == 0xE220A8397B1DCDAFu);
    CHECK(mix(drawn_counter(0, 1, 0)) == 0x6E789E6AA1B965F4u);
    CHECK(row_key(0, 0) == 0xE220A8397B1DCDAFu);
    CHECK(row_key(kStep, 1) == 0x06C45D188009454Fu);
}

void test_bytes_are_those_of_a_word_from_the_lowest() {
    const std::uint8_t expected[] = {0xAF, 0xCD, 0x1D, 0x7B, 0x39, 0xA8, 0x20, 0xE2, 0xF4, 0x65};
    for (std::size_t p = 0; p < sizeof expected; ++p) CHECK(drawn_byte(0, p, 0) == expected[p]);
    // Each trial has its own words.
    CHECK(drawn_byte(0, 0, 1) == (mix(((std::uint64_t{1} << 40) + 1) * kStep) & 255));
}

bool expected_on(std::uint64_t key, std::uint64_t pixel, std::uint8_t level) {
    std::uint64_t trial = 0;
    while (drawn_byte(key, pixel, trial) == 255) ++trial;
    return drawn_byte(key, pixel, trial) < level;
}

void test_runs(InstructionSet set) {
    const BinarizeDrawn draw = draw_of(set);
    for (const std::uint64_t key : {std::uint64_t{0}, std::uint64_t{7}, ~std::uint64_t{0}}) {
        for (const std::size_t first : std::initializer_list<std::size_t>{0, 8, 16, 4096}) {
            for (std::size_t count = 0; count < 200; ++count) {
                Bytes pixels;
                Bytes expected;
                for (std::size_t p = 0; p < count; ++p) {
                    const auto level = static_cast<std::uint8_t>(p * 2654435761u >> 11);
                    pixels.push_back(level);
                    expected.push_back(expected_on(key, first + p, level) ? 255 : 0);
                }
                Bytes out(count);
                draw(pixels.data(), first, count, key, out.data());
                CHECK(out == expected);
            }
        }
    }
}

// Every level at every byte, also those that need a second trial: 65,536 pixels have about 256
// bytes of 255.
void test_levels(InstructionSet set) {
    constexpr std::size_t count = 1 << 16;
    std::size_t retried = 0;
    for (std::size_t p = 0; p < count; ++p) retried += drawn_byte(3, p, 0) == 255;
    CHECK(retried > 150 && retried < 400);
    for (unsigned level = 0; level < 256; ++level) {
        const Bytes pixels(count, static_cast<std::uint8_t>(level));
        Bytes out(count);
        draw_of(set)(pixels.data(), 0, count, 3, out.data());
        std::size_t on = 0;
        bool right = true;
        for (std::size_t p = 0; p < count; ++p) {
            on += out[p] == 255;
            right = right && out[p] == (expected_on(3, p, pixels[p]) ? 255 : 0);
        }
        CHECK(right);
        if (level == 0) CHECK(on == 0);
        if (level == 255) CHECK(on == count);
    }
}

// All numbers from 0 to 254 are equally frequent. Chi-squared with 254 degrees of freedom has mean
// 254 and standard deviation 22.5.
void test_numbers_are_uniform() {
    constexpr std::size_t count = 255 * 4000;
    std::vector<double> counts(255);
    for (std::size_t p = 0; p < count; ++p) {
        std::uint64_t trial = 0;
        while (drawn_byte(11, p, trial) == 255) ++trial;
        ++counts[drawn_byte(11, p, trial)];
    }
    double statistic = 0;
    for (const double each : counts) statistic += (each - 4000) * (each - 4000) / 4000;
    CHECK(statistic > 254 - 5 * 22.5 && statistic < 254 + 5 * 22.5);
}

void test_threshold() {
    Bytes pixels;
    Bytes expected;
    for (unsigned level = 0; level < 256; ++level) {
        pixels.push_back(static_cast<std::uint8_t>(level));
        expected.push_back(level > 127 ? 255 : 0);
    }
    Bytes out(pixels.size());
    binarize_threshold(pixels.data(), pixels.size(), out.data());
    CHECK(out == expected);
}

}  // namespace

int main() {
    test_mix();
    test_bytes_are_those_of_a_word_from_the_lowest();
    test_numbers_are_uniform();
    test_threshold();
    for (const InstructionSet set : instruction_sets()) {
        test_runs(set);
        test_levels(set);
    }
    return check::result();
}
