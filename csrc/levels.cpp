// This runs once for each dataset, so it is simple rather than fast. The fast code reads the tables
// that are made here.
#include "levels.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <sstream>
#include <stdexcept>

namespace kgan {
namespace {

bool same_bits(float a, float b) { return std::memcmp(&a, &b, sizeof a) == 0; }

double largest(DType dtype) {
    // Halfway between the largest finite value and the next power of two: from here on, rounding
    // to nearest gives infinity.
    switch (dtype) {
        case DType::float16:
            return 65520.0;
        case DType::bfloat16:
            return std::ldexp(2.0 - std::ldexp(1.0, -8), 127);
        default:
            return std::ldexp(2.0 - std::ldexp(1.0, -24), 127);
    }
}

// Both ends are exact, which a plain low + step * q does not guarantee.
double level(double low, double high, unsigned q, unsigned last) {
    if (q == 0) return low;
    if (q == last) return high;
    return (low * (last - q) + high * q) / last;
}

}  // namespace

std::size_t item_size(DType dtype) {
    switch (dtype) {
        case DType::float32:
            return sizeof(float);
        case DType::uint8:
            return sizeof(std::uint8_t);
        default:
            return sizeof(std::uint16_t);
    }
}

std::uint16_t round_to_16_bits(double value, int exponent_bits) {
    const int mantissa_bits = 15 - exponent_bits;
    const int bias = (1 << (exponent_bits - 1)) - 1;
    const unsigned sign = std::signbit(value) ? 0x8000u : 0u;
    const double magnitude = std::fabs(value);
    const unsigned infinity = ((1u << exponent_bits) - 1) << mantissa_bits;
    if (magnitude == 0) return static_cast<std::uint16_t>(sign);
    if (!std::isfinite(magnitude)) {
        const unsigned quiet = std::isnan(value) ? 1u << (mantissa_bits - 1) : 0u;
        return static_cast<std::uint16_t>(sign | infinity | quiet);
    }
    // In units of the last place at this magnitude (at least that of the subnormals), the value is
    // a small number, which nearbyint rounds to an integer, ties to even. A carry out of the
    // mantissa goes into the exponent, as it should.
    const int exponent = std::max(std::ilogb(magnitude), 1 - bias);
    const double units = std::nearbyint(std::ldexp(magnitude, mantissa_bits - exponent));
    if (exponent > bias) return static_cast<std::uint16_t>(sign | infinity);
    const auto integer = static_cast<unsigned>(units);
    const unsigned biased = static_cast<unsigned>(exponent + bias - 1) << mantissa_bits;
    return static_cast<std::uint16_t>(sign | std::min(biased + integer, infinity));
}

Levels::Levels(DType dtype, unsigned count) : dtype_(dtype), count_(count) {
    if (count >= kMinLevels && count <= kMaxLevels) return;
    std::ostringstream message;
    message << "Expected levels to be from " << kMinLevels << " to " << kMaxLevels
            << ". Received: levels=" << count << ".";
    throw std::invalid_argument(message.str());
}

Levels Levels::integers(unsigned count) { return {DType::uint8, count}; }

Levels::Levels(double low, double high, DType dtype, unsigned count) : Levels(dtype, count) {
    if (dtype == DType::uint8) throw std::invalid_argument("Levels::integers makes uint8 levels");
    const double limit = largest(dtype);
    // Written so that NaN fails it.
    if (!(low < high && low > -limit && high < limit)) {
        std::ostringstream message;
        message << "Expected value_range to be two finite numbers in the range of the dtype, the "
                   "lower first. Received: ("
                << low << ", " << high << ").";
        throw std::invalid_argument(message.str());
    }
    for (unsigned k = 0; k < 256; ++k) {
        const double value =
            level(low, high, quantized(k, count), count - 1) + 0.0;  // -0 becomes 0
        if (dtype == DType::float32) {
            values32_[k] = static_cast<float>(value);
        } else {
            bits16_[k] = round_to_16_bits(value, dtype == DType::float16 ? 5 : 8);
        }
    }
    if (dtype == DType::float32) fit_line(low, high);
}

void Levels::fit_line(double low, double high) {
    const double scale = (high - low) / 255.0;
    zero_ = static_cast<float>(std::nearbyint(-2.0 * low / scale) / 2.0);
    scale_ = static_cast<float>(scale);
    scale_tail_ = static_cast<float>(scale - double{scale_});
    is_linear_ = true;
    for (int k = 0; k < 256; ++k) {
        const float t = static_cast<float>(k) - zero_;
        const float value = std::fma(t, scale_, t * scale_tail_);
        is_linear_ = is_linear_ && same_bits(value, values32_[static_cast<std::size_t>(k)]);
    }
}

}  // namespace kgan
