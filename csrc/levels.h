// The values of the 256 pixel levels, for one value range, one dtype and one number of levels.
//
// Pixel v becomes level q = floor(v * L / 256) of L levels: q is from 0 to L - 1. With L = 256, the
// default, q is v. With floats, level q has the value low + (high - low) * q / (L - 1), computed in
// double and rounded once, to nearest, ties to even. Level 0 is exactly `low` and level L - 1
// exactly `high`, rounded to the dtype. This table is the definition: vector code is used only if
// it gives the same bits. With uint8, level q has the value q.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace kgan {

enum class DType { float32, float16, bfloat16, uint8 };

// The bytes of a value.
std::size_t item_size(DType dtype);

constexpr unsigned kMinLevels = 2;
constexpr unsigned kMaxLevels = 256;

// The level of a pixel among `count` levels.
constexpr unsigned quantized(unsigned pixel, unsigned count) { return pixel * count / 256; }

class Levels {
  public:
    // For floats. Throws std::invalid_argument unless low < high, both finite once rounded to
    // `dtype`, and `count` is from kMinLevels to kMaxLevels. `dtype` must not be uint8.
    Levels(double low, double high, DType dtype, unsigned count = kMaxLevels);

    // For uint8, which has no range. Throws std::invalid_argument unless `count` is in those
    // limits.
    static Levels integers(unsigned count = kMaxLevels);

    DType dtype() const { return dtype_; }

    // The values for float32; not set for other dtypes.
    const std::array<float, 256>& values32() const { return values32_; }
    // The bits for float16 and bfloat16; not set for other dtypes.
    const std::array<std::uint16_t, 256>& bits16() const { return bits16_; }
    // The values for uint8 need no table: they are quantized(k, count()).
    unsigned count() const { return count_; }

    // Vector code can compute values32()[k] instead of looking it up: fma(t, scale, t * scale_tail)
    // with t = k - zero. There, t is exact, and scale and scale_tail together have the bits of two
    // floats, so the result is rounded once. This works for ranges that begin at 0 or are centred
    // on it, and is checked to the bit for all 256 levels. For other ranges, such as (0.1, 0.9),
    // and for fewer levels than 256, is_linear() is false and the table
    // must be used.
    bool is_linear() const { return is_linear_; }
    float zero() const { return zero_; }
    float scale() const { return scale_; }
    float scale_tail() const { return scale_tail_; }

  private:
    Levels(DType dtype, unsigned count);
    void fit_line(double low, double high);

    DType dtype_;
    unsigned count_;
    std::array<float, 256> values32_{};
    std::array<std::uint16_t, 256> bits16_{};
    bool is_linear_ = false;
    float zero_ = 0;
    float scale_ = 0;
    float scale_tail_ = 0;
};

// The bits of `value` in a 16-bit binary format with `exponent_bits` of exponent (5: float16,
// 8: bfloat16), rounded once from double, to nearest, ties to even. Infinity above its range.
std::uint16_t round_to_16_bits(double value, int exponent_bits);

}  // namespace kgan
