// Reverses the order of the pixels of rows.
//
// All versions give the same bytes. They read exactly the bytes of the pixels and need no
// alignment.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "compiler.h"

namespace kgan {

constexpr std::size_t kMirrorVector = 16;

// The most channels of which a vector holds two pixels.
constexpr std::size_t kMaxMirroredChannels = kMirrorVector / 2;

// Rows of bytes: zeros, then pixels, then zeros.
struct Rows {
    std::size_t count;
    std::size_t before;  // bytes in a row
    std::size_t inside;
    std::size_t after;
    std::size_t stride;  // from a row of pixels to the next
};

// Writes of whole vectors may write so many bytes beyond the end. The next write overwrites them.
constexpr std::size_t kSlack = kMirrorVector;

inline void zero_with_slack(std::size_t count, std::uint8_t* out) {
    for (std::size_t i = 0; i < count; i += kSlack) std::memset(out + i, 0, kSlack);
}

// For each number of bytes up to those of a vector, where the bytes of reversed pixels come from.
class MirrorTable {
  public:
    // For `channels` up to kMaxMirroredChannels; otherwise the table is empty.
    explicit MirrorTable(std::size_t channels);

    // Bytes of the pixels that a vector holds, or 0.
    std::size_t size() const { return size_; }
    // Reverses the pixels in the first `size` bytes of a vector.
    const std::uint8_t* first(std::size_t size) const { return first_[size].data(); }
    // Reverses the pixels in the last size() bytes of a vector.
    const std::uint8_t* last() const { return last_.data(); }

  private:
    using Shuffle = std::array<std::uint8_t, kMirrorVector>;
    std::size_t size_ = 0;
    std::array<Shuffle, kMirrorVector + 1> first_{};
    Shuffle last_{};
};

// Writes rows whose pixels are reversed, one after the other, and up to kSlack bytes beyond them.
using Mirror = void (*)(const std::uint8_t* pixels, const Rows& rows, std::size_t channels,
                        const MirrorTable& table, std::uint8_t* out);

void mirror_portable(const std::uint8_t* pixels, const Rows& rows, std::size_t channels,
                     const MirrorTable& table, std::uint8_t* out);
#ifdef KGAN_X86_64
void mirror_avx2(const std::uint8_t* pixels, const Rows& rows, std::size_t channels,
                 const MirrorTable& table, std::uint8_t* out);
#endif

}  // namespace kgan
