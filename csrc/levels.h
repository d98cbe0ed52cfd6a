// The values of the 256 pixel levels, for one value range and one dtype.
//
// Level k has the value low + (high - low) * k / 255, computed in double and rounded once, to
// nearest, ties to even. Level 0 is exactly `low` and level 255 exactly `high`, rounded to the
// dtype. This table is the definition: vector code is used only if it gives the same bits.
#pragma once

#include <array>
#include <cstdint>

namespace kgan {

enum class DType { float32, float16, bfloat16 };

class Levels {
  public:
    // Throws std::invalid_argument unless low < high, both finite once rounded to `dtype`.
    Levels(double low, double high, DType dtype);

    DType dtype() const { return dtype_; }

    // The values for float32; not set for the 16-bit types.
    const std::array<float, 256>& values32() const { return values32_; }
    // The bits for float16 and bfloat16; not set for float32.
    const std::array<std::uint16_t, 256>& bits16() const { return bits16_; }

    // Vector code can compute values32()[k] instead of looking it up: fma(t, scale, t * scale_tail)
    // with t = k - zero. There, t is exact, and scale and scale_tail together have the bits of two
    // floats, so the result is rounded once. This works for ranges that begin at 0 or are centred
    // on it, and is checked to the bit for all 256 levels. For other ranges, such as (0.1, 0.9),
    // is_linear() is false and the table must be used.
    bool is_linear() const { return is_linear_; }
    float zero() const { return zero_; }
    float scale() const { return scale_; }
    float scale_tail() const { return scale_tail_; }

  private:
    void fit_line(double low, double high);

    DType dtype_;
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
