// Concurrent gathers under ThreadSanitizer. They share images, indices and levels, which none of
// them may write; each has its own output.
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "batch.h"
#include "check.h"

namespace {

using namespace kgan;

constexpr std::size_t kCount = 40;
constexpr std::size_t kHeight = 28;
constexpr std::size_t kWidth = 28;
constexpr Padding kPadding{2, 2, 2, 2};
constexpr Window kWindow{kHeight + 1, kWidth + 2, true, true, 9};
constexpr std::size_t kPadded = kWindow.height * kWindow.width;
constexpr std::size_t kStack = 3;

struct Source {
    std::vector<std::uint8_t> pixels;
    std::vector<std::int64_t> indices;
    Levels levels{-1, 1, DType::float32};
    Binarize binarize{Binarization::drawn, 5};

    explicit Source(std::size_t batch_size) {
        for (std::size_t i = 0; i < kCount * kHeight * kWidth; ++i) {
            pixels.push_back(static_cast<std::uint8_t>(i * 2654435761u >> 11));
        }
        for (std::size_t i = 0; i < batch_size * kStack; ++i) {
            indices.push_back(static_cast<std::int64_t>(i * 17 % kCount));
        }
    }

    Images images() const { return {pixels.data(), kCount, kHeight, kWidth, 1}; }

    // A batch of stacks, or of `kStack` times as many single images.
    std::vector<float> batch(bool stacked, InstructionSet set, unsigned threads) const {
        std::vector<float> out(indices.size() * kPadded);
        if (stacked) {
            gather_stacked(images(), indices.data(), indices.size() / kStack, kStack, levels,
                           binarize, kPadding, kWindow, set, threads, out.data());
        } else {
            gather(images(), indices.data(), indices.size(), levels, binarize, kPadding, kWindow,
                   set, threads, out.data());
        }
        return out;
    }

    std::vector<float> expected(bool stacked) const {
        std::vector<float> out(indices.size() * kPadded, levels.values32()[0]);
        for (std::size_t i = 0; i < indices.size(); ++i) {
            const auto image = static_cast<std::size_t>(indices[i]);
            const Place place = place_of(kWindow, 3, 2, image);
            for (std::size_t y = 0; y < kWindow.height; ++y) {
                for (std::size_t x = 0; x < kWindow.width; ++x) {
                    // Unsigned: positions before the image wrap around to beyond it.
                    const std::size_t row = place.top + y - kPadding.top;
                    const std::size_t column = place.left + x - kPadding.left;
                    if (row >= kHeight || column >= kWidth) continue;
                    const std::size_t position = row * kWidth + column;
                    const std::uint8_t level = pixels[image * kHeight * kWidth + position];
                    const std::uint64_t key = row_key(binarize.key, image);
                    std::uint64_t trial = 0;
                    while (drawn_byte(key, position, trial) == 255) ++trial;
                    const bool is_on = drawn_byte(key, position, trial) < level;
                    const std::size_t at =
                        y * kWindow.width + (place.is_mirrored ? kWindow.width - 1 - x : x);
                    out[stacked ? (i / kStack * kPadded + at) * kStack + i % kStack
                                : i * kPadded + at] = levels.values32()[is_on ? 255 : 0];
                }
            }
        }
        return out;
    }
};

// Starts threads that call work(t) at the same time. Returns how many calls returned true.
template <typename Work>
int together(int count, Work work) {
    std::atomic<int> waiting{count};
    std::atomic<int> right{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < count; ++t) {
        threads.emplace_back([&, t] {
            --waiting;
            while (waiting != 0) std::this_thread::yield();
            right += work(t);
        });
    }
    for (std::thread& thread : threads) thread.join();
    return right;
}

// Must run first: values that are computed once, such as the number of cores, are computed here.
// With 0 threads the size decides: this one is large enough for two threads on two cores.
void test_first_use() {
    const Source source(400);
    CHECK(together(4, [&](int t) {
              const bool stacked = t % 2 == 1;
              const InstructionSet set = instruction_sets().back();
              return source.batch(stacked, set, 0) == source.expected(stacked);
          }) == 4);
}

void test_side_by_side() {
    const Source source(20);
    const std::vector<float> expected[] = {source.expected(false), source.expected(true)};
    for (const InstructionSet set : instruction_sets()) {
        CHECK(together(6, [&](int t) {
                  bool right = true;
                  for (int turn = 0; turn < 8; ++turn) {
                      const bool stacked = (t + turn) % 2 == 1;
                      const auto threads = static_cast<unsigned>(1 + (t + turn / 2) % 4);
                      right = right && source.batch(stacked, set, threads) == expected[stacked];
                  }
                  return right;
              }) == 6);
    }
}

}  // namespace

int main() {
    test_first_use();
    test_side_by_side();
    return check::result();
}
