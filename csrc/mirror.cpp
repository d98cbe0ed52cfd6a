#include "mirror.h"

namespace kgan {

MirrorTable::MirrorTable(std::size_t channels) {
    if (channels == 0 || channels > kMaxMirroredChannels) return;
    size_ = kMirrorVector / channels * channels;
    const auto reversed = [channels](std::size_t size, std::size_t begin) {
        Shuffle shuffle{};
        for (std::size_t byte = 0; byte < size; ++byte) {
            const std::size_t pixel = size / channels - 1 - byte / channels;
            shuffle[byte] = static_cast<std::uint8_t>(begin + pixel * channels + byte % channels);
        }
        return shuffle;
    };
    for (std::size_t size = channels; size <= size_; size += channels) {
        first_[size] = reversed(size, 0);
    }
    last_ = reversed(size_, kMirrorVector - size_);
}

void mirror_portable(const std::uint8_t* pixels, const Rows& rows, std::size_t channels,
                     const MirrorTable& /*table*/, std::uint8_t* out) {
    for (std::size_t row = 0; row < rows.count; ++row, pixels += rows.stride) {
        zero_with_slack(rows.before, out);
        out += rows.before;
        for (std::size_t left = rows.inside; left != 0; left -= channels) {
            for (std::size_t c = 0; c < channels; ++c) *out++ = pixels[left - channels + c];
        }
        zero_with_slack(rows.after, out);
        out += rows.after;
    }
}

}  // namespace kgan
