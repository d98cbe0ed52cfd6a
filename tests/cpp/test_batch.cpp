// Compares every instruction set with the table, to the bit. The memory of the images ends at a
// page without access: reading one byte too many ends the test, also by a masked vector load, which
// sanitizers do not see. Guard values around the output show stray writes.
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <new>
#include <optional>
#include <vector>

#include "batch.h"
#include "check.h"

namespace {

using namespace kgan;

constexpr std::size_t kGuard = 32;

template <typename Value>
Value expected_value(const Levels& levels, std::uint8_t pixel) {
    if constexpr (sizeof(Value) == 4) {
        return levels.values32()[pixel];
    } else if constexpr (sizeof(Value) == 1) {
        return static_cast<Value>(std::floor(pixel * (levels.count() / 256.0)));
    } else {
        return levels.bits16()[pixel];
    }
}

// The level that pixel `position` of image `row` has in a batch.
std::uint8_t expected_pixel(const Binarize& binarize, std::uint8_t level, std::size_t row,
                            std::size_t position) {
    if (binarize.how == Binarization::none) return level;
    if (binarize.how == Binarization::threshold) return level > 127 ? 255 : 0;
    const std::uint64_t key = row_key(binarize.key, row);
    std::uint64_t trial = 0;
    while (drawn_byte(key, position, trial) == 255) ++trial;
    return drawn_byte(key, position, trial) < level ? 255 : 0;
}

constexpr std::size_t kWhole = 0;

// Gathers whole images, or stacks of `stack` images, and compares them. The guarded buffer starts
// `misaligned` values past the alignment of its allocation.
template <typename Value>
bool gathers_right(const Images& images, std::size_t stack,
                   const std::vector<std::int64_t>& indices, const Levels& levels,
                   const Padding& padding, InstructionSet set, unsigned threads,
                   std::size_t misaligned, const Binarize& binarize = {},
                   const Window* window = nullptr) {
    const std::size_t padded_height = padding.top + images.height + padding.bottom;
    const std::size_t padded_width = padding.left + images.width + padding.right;
    const std::size_t height = window ? window->height : padded_height;
    const std::size_t width = window ? window->width : padded_width;
    const std::size_t channels = stack == kWhole ? images.channels : stack;
    const std::size_t batch_size = stack == kWhole ? indices.size() : indices.size() / stack;
    const std::size_t size = batch_size * height * width * channels;
    Value guard;
    std::memset(&guard, 0xA5, sizeof guard);
    std::vector<Value> out(kGuard + misaligned + size + kGuard, guard);
    Value* begin = out.data() + kGuard + misaligned;
    std::optional<Window> cut;
    if (window != nullptr) cut = *window;
    if (stack == kWhole) {
        gather(images, indices.data(), batch_size, levels, binarize, padding, cut, set, threads,
               begin);
    } else {
        gather_stacked(images, indices.data(), batch_size, stack, levels, binarize, padding, cut,
                       set, threads, begin);
    }

    std::vector<Value> expected;
    for (std::size_t i = 0; i < batch_size; ++i) {
        for (std::size_t y = 0; y < height; ++y) {
            for (std::size_t x = 0; x < width; ++x) {
                for (std::size_t c = 0; c < channels; ++c) {
                    const auto image =
                        static_cast<std::size_t>(indices[stack == kWhole ? i : i * stack + c]);
                    Place place{0, 0, false};
                    if (window) {
                        place =
                            place_of(*window, padded_height - height, padded_width - width, image);
                    }
                    // Unsigned: positions before the image wrap around to beyond it.
                    const std::size_t row = place.top + y - padding.top;
                    const std::size_t column =
                        place.left + (place.is_mirrored ? width - 1 - x : x) - padding.left;
                    std::uint8_t pixel = 0;
                    if (row < images.height && column < images.width) {
                        const std::size_t channel = stack == kWhole ? c : 0;
                        const std::size_t position =
                            (row * images.width + column) * images.channels + channel;
                        const std::size_t size = images.height * images.width * images.channels;
                        pixel = expected_pixel(binarize, images.pixels[image * size + position],
                                               image, position);
                    }
                    expected.push_back(expected_value<Value>(levels, pixel));
                }
            }
        }
    }
    if (size != 0 && std::memcmp(begin, expected.data(), size * sizeof(Value)) != 0) return false;
    for (const Value* p = out.data(); p < begin; ++p) {
        if (std::memcmp(p, &guard, sizeof guard) != 0) return false;
    }
    for (const Value* p = begin + size; p < out.data() + out.size(); ++p) {
        if (std::memcmp(p, &guard, sizeof guard) != 0) return false;
    }
    return true;
}

// The same, for the dtype of `levels`.
template <typename... Rest>
bool gathers_right(const Images& images, std::size_t stack,
                   const std::vector<std::int64_t>& indices, const Levels& levels,
                   const Rest&... rest) {
    switch (levels.dtype()) {
        case DType::float32:
            return gathers_right<float>(images, stack, indices, levels, rest...);
        case DType::uint8:
            return gathers_right<std::uint8_t>(images, stack, indices, levels, rest...);
        default:
            return gathers_right<std::uint16_t>(images, stack, indices, levels, rest...);
    }
}

// Random bytes that end at a page without access.
class Pixels {
  public:
    explicit Pixels(std::size_t size) {
        const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
        const std::size_t used = (size + page - 1) / page * page;
        mapped_ = used + page;
        memory_ =
            mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory_ == MAP_FAILED) throw std::bad_alloc();
        auto* bytes = static_cast<std::uint8_t*>(memory_);
        if (mprotect(bytes + used, page, PROT_NONE) != 0) throw std::bad_alloc();
        pixels_ = bytes + used - size;
        std::uint32_t state = 1;
        for (std::size_t i = 0; i < size; ++i) {
            state = state * 1664525u + 1013904223u;
            pixels_[i] = static_cast<std::uint8_t>(state >> 24);
        }
    }
    ~Pixels() { munmap(memory_, mapped_); }
    Pixels(const Pixels&) = delete;
    Pixels& operator=(const Pixels&) = delete;
    const std::uint8_t* get() const { return pixels_; }

  private:
    void* memory_;
    std::size_t mapped_;
    std::uint8_t* pixels_;
};

void test_every_size(InstructionSet set, const Levels& levels) {
    constexpr std::size_t count = 3;
    const std::vector<std::int64_t> indices{2, 0, 2, 1};
    for (std::size_t width = 1; width <= 70; ++width) {
        const Pixels pixels(count * width);
        const Images images{pixels.get(), count, 1, width, 1};
        for (const std::size_t misaligned : std::initializer_list<std::size_t>{0, 1, 7, 15}) {
            CHECK(gathers_right(images, kWhole, indices, levels, Padding{}, set, 1u, misaligned));
        }
    }
}

void test_every_stack(InstructionSet set, const Levels& levels) {
    constexpr std::size_t count = 5;
    std::vector<std::size_t> widths;
    for (std::size_t width = 1; width <= 70; ++width) widths.push_back(width);
    // More pixels than are prepared at once, by less than a vector and by more.
    widths.insert(widths.end(), {1023, 1024, 1025, 1359, 1360, 1361, 1375, 1376, 1377, 4100, 8200});
    for (const std::size_t stack : std::initializer_list<std::size_t>{1, 2, 3, 4, kMaxStack}) {
        std::vector<std::int64_t> indices;
        for (std::size_t i = 0; i < 3 * stack; ++i) {
            indices.push_back(static_cast<std::int64_t>(i * i % count));
        }
        for (const std::size_t width : widths) {
            const Pixels pixels(count * width);
            const Images images{pixels.get(), count, 1, width, 1};
            for (const std::size_t misaligned : std::initializer_list<std::size_t>{0, 7}) {
                CHECK(
                    gathers_right(images, stack, indices, levels, Padding{}, set, 1u, misaligned));
            }
        }
    }
}

void test_padding_and_threads(InstructionSet set, const Levels& levels) {
    const Padding paddings[] = {{0, 0, 0, 0}, {2, 2, 2, 2}, {1, 0, 0, 0},
                                {0, 3, 0, 0}, {0, 0, 4, 0}, {0, 0, 0, 5}};
    for (const Padding& padding : paddings) {
        for (const unsigned threads : {0u, 1u, 2u, 3u, 100u}) {
            for (const std::size_t channels : std::initializer_list<std::size_t>{1, 3}) {
                const Pixels pixels(5 * 7 * 9 * channels);
                const Images images{pixels.get(), 5, 7, 9, channels};
                CHECK(gathers_right(images, kWhole, {4, 0, 3, 3, 1, 2, 0}, levels, padding, set,
                                    threads, std::size_t{1}));
                CHECK(gathers_right(images, kWhole, {}, levels, padding, set, threads,
                                    std::size_t{0}));
            }
            // The wider rows are prepared in parts that do not end at the end of a row.
            for (const std::size_t width : std::initializer_list<std::size_t>{9, 700}) {
                const Pixels pixels(5 * 7 * width);
                const Images images{pixels.get(), 5, 7, width, 1};
                for (const std::size_t stack : std::initializer_list<std::size_t>{1, 2, 3, 4}) {
                    CHECK(gathers_right(images, stack, {4, 0, 3, 3, 1, 2, 0, 4, 1, 1, 2, 3}, levels,
                                        padding, set, threads, std::size_t{1}));
                    CHECK(gathers_right(images, stack, {}, levels, padding, set, threads,
                                        std::size_t{0}));
                }
            }
        }
    }
}

// Runs of every length, and images that are binarised in several parts.
void test_binarized(InstructionSet set, const Binarize& binarize) {
    const Levels levels(-1, 1, DType::float32);
    const Levels halves(0, 1, DType::float16);
    const Levels bits = Levels::integers(2);
    std::vector<std::size_t> widths;
    for (std::size_t width = 1; width <= 70; ++width) widths.push_back(width);
    widths.insert(widths.end(), {4095, 4096, 4097, 4104, 8200});
    for (const std::size_t width : widths) {
        for (const std::size_t channels : std::initializer_list<std::size_t>{1, 3}) {
            const Pixels pixels(3 * 2 * width * channels);
            const Images images{pixels.get(), 3, 2, width, channels};
            for (const Padding& padding : {Padding{}, Padding{1, 2, 3, 4}}) {
                CHECK(gathers_right<float>(images, kWhole, {2, 0, 2, 1}, levels, padding, set, 2, 1,
                                           binarize));
                CHECK(gathers_right<std::uint16_t>(images, kWhole, {1}, halves, padding, set, 1, 0,
                                                   binarize));
                CHECK(gathers_right<std::uint8_t>(images, kWhole, {1, 2}, bits, padding, set, 1, 3,
                                                  binarize));
            }
        }
        const Pixels pixels(3 * 2 * width);
        const Images images{pixels.get(), 3, 2, width, 1};
        for (const std::size_t stack : std::initializer_list<std::size_t>{1, 2, 3, kMaxStack}) {
            std::vector<std::int64_t> indices;
            for (std::size_t i = 0; i < 2 * stack; ++i) {
                indices.push_back(static_cast<std::int64_t>(i * i % 3));
            }
            CHECK(gathers_right<float>(images, stack, indices, levels, {1, 0, 2, 0}, set, 2, 1,
                                       binarize));
            CHECK(gathers_right<std::uint8_t>(images, stack, indices, bits, {1, 0, 2, 0}, set, 2, 1,
                                              binarize));
        }
    }
    // More channels than are binarised at once.
    const Pixels pixels(2 * 2 * 5000);
    CHECK(gathers_right<float>(Images{pixels.get(), 2, 1, 2, 5000}, kWhole, {1, 0}, levels,
                               {0, 0, 1, 0}, set, 1, 0, binarize));
}

// Windows of every kind: smaller than the images, as large, larger, with padding on each side;
// channels with and without vector code; rows and pieces that are prepared in several turns.
void test_windows(InstructionSet set, const Binarize& binarize) {
    const Levels levels(-1, 1, DType::float32);
    const Levels halves(0, 1, DType::bfloat16);
    const Levels integers = Levels::integers();
    const std::vector<std::int64_t> indices{2, 0, 5, 1, 4, 3};
    struct Size {
        std::size_t height;
        std::size_t width;
    };
    for (const std::size_t width :
         std::initializer_list<std::size_t>{1, 5, 6, 15, 16, 17, 33, 1400}) {
        for (const std::size_t channels : std::initializer_list<std::size_t>{1, 2, 3, 5, 8, 9}) {
            if (width > 100 && channels > 3) continue;  // in the interest of time
            const Pixels pixels(6 * 5 * width * channels);
            const Images images{pixels.get(), 6, 5, width, channels};
            for (const Padding& padding : {Padding{}, Padding{2, 3, 1, 4}, Padding{0, 0, 20, 35}}) {
                const std::size_t height = 5 + padding.top + padding.bottom;
                const std::size_t wide = width + padding.left + padding.right;
                for (const Size& size : {Size{height, wide}, Size{5, width}, Size{1, 1},
                                         Size{height, 1 + wide / 2}, Size{3, wide}}) {
                    for (const unsigned how : {0u, 1u, 2u, 3u}) {
                        const Window window{size.height, size.width, how % 2 == 1, how > 1, 77};
                        CHECK(gathers_right<float>(images, kWhole, indices, levels, padding, set, 1,
                                                   how, binarize, &window));
                        CHECK(gathers_right<std::uint8_t>(images, kWhole, indices, integers,
                                                          padding, set, 1, how, binarize, &window));
                        if (channels == 1 && width < 100) {
                            CHECK(gathers_right<std::uint16_t>(images, 3, indices, halves, padding,
                                                               set, 2, 1, binarize, &window));
                        }
                    }
                }
            }
        }
        const Pixels pixels(6 * 3 * width);
        const Images images{pixels.get(), 6, 3, width, 1};
        const Window window{4, 1 + width / 2, true, true, 3};
        for (const std::size_t stack : std::initializer_list<std::size_t>{1, 2, 4, kMaxStack}) {
            const std::vector<std::int64_t> rows(2 * stack, 4);
            CHECK(gathers_right<float>(images, stack, rows, levels, {1, 1, 2, 0}, set, 1, 0,
                                       binarize, &window));
        }
    }
    const Pixels pixels(2 * 2 * kMaxWindowChannels);
    const Window window{1, 3, true, true, 1};
    CHECK(gathers_right<float>(Images{pixels.get(), 2, 1, 2, kMaxWindowChannels}, kWhole,
                               {1, 0, 1, 0}, levels, {0, 0, 1, 1}, set, 1, 0, binarize, &window));
}

// No reference in the same words: a window in the centre, and the images that a key mirrors.
void test_a_window_by_hand(InstructionSet set) {
    const Levels levels(0, 255, DType::float32);
    const std::uint8_t pixels[] = {1, 2, 3, 4, 5, 6};
    const Images images{pixels, 1, 2, 3, 1};
    const std::int64_t index = 0;
    std::vector<float> out(8);
    gather(images, &index, 1, levels, {}, {1, 1, 1, 1}, Window{2, 4}, set, 1, out.data());
    CHECK(out == (std::vector<float>{0, 1, 2, 3, 0, 4, 5, 6}));
    int mirrored = 0;
    for (std::uint64_t key = 0; key < 64; ++key) {
        gather(images, &index, 1, levels, {}, {1, 1, 1, 1}, Window{2, 4, false, true, key}, set, 1,
               out.data());
        const bool is_mirrored = out == std::vector<float>{3, 2, 1, 0, 6, 5, 4, 0};
        CHECK(is_mirrored || out == (std::vector<float>{0, 1, 2, 3, 0, 4, 5, 6}));
        CHECK(is_mirrored == (word(row_key(key, 0), 2) >> 63 == 1));
        mirrored += is_mirrored;
    }
    CHECK(mirrored > 16 && mirrored < 48);
}

void test_high_product() {
    constexpr std::uint64_t most = ~std::uint64_t{0};
    constexpr std::uint64_t half = std::uint64_t{1} << 32;
    CHECK(high_product(most, most) == most - 1);
    CHECK(high_product(most, 1) == 0);
    CHECK(high_product(half, half) == 1);
    CHECK(high_product(half, half - 1) == 0);
    CHECK(high_product(std::uint64_t{1} << 63, 7) == 3);
    CHECK(high_product(0x123456789ABCDEFu, 0xFEDCBA9876543210u) == 0x121FA00AD77D742u);
}

void test_windows_that_are_refused(InstructionSet set) {
    constexpr std::size_t most = std::numeric_limits<std::ptrdiff_t>::max();
    constexpr std::size_t huge = std::numeric_limits<std::size_t>::max();
    constexpr std::int64_t lowest = std::numeric_limits<std::int64_t>::min();
    for (const std::int64_t less : {std::int64_t{0}, std::int64_t{-1}, lowest}) {
        CHECK_THROWS(window_of(less, 1));
        CHECK_THROWS(window_of(1, less));
    }
    CHECK(window_of(3, 4).height == 3 && window_of(3, 4).width == 4);
    const Levels levels(0, 1, DType::float32);
    const Pixels pixels(4 * 5000);
    const Images images{pixels.get(), 1, 4, 4, 1};
    const std::int64_t indices[] = {0, 0, 0};
    const Padding paddings[] = {{1, 1, 1, 1}, {huge, 0, 0, 0}, {0, 0, huge, huge}, {0, most, 0, 0}};
    for (const Padding& padding : paddings) {
        for (const Window& window :
             {Window{7, 6}, Window{6, 7}, Window{0, 6}, Window{6, 0}, Window{huge, huge}}) {
            std::vector<float> out(150, -7.0f);
            CHECK_THROWS(
                gather(images, indices, 1, levels, {}, padding, window, set, 1, out.data()));
            CHECK_THROWS(gather_stacked(images, indices, 1, 3, levels, {}, padding, window, set, 1,
                                        out.data()));
            CHECK(out == std::vector<float>(150, -7.0f));
        }
    }
    // Padding that no batch could have, but for its window.
    std::vector<float> out(4);
    gather(images, indices, 1, levels, {}, {0, most - 4, most - 4, 0}, Window{2, 2, true, true, 8},
           set, 1, out.data());
    CHECK(out == std::vector<float>(4));
    // No values, but as many rows as a shape can have.
    gather(Images{pixels.get(), 1, 4, 4, 0}, indices, 1, levels, {}, {0, most / 8, 0, 0},
           Window{most / 8, 1}, set, 1, out.data());
    const Images deep{pixels.get(), 1, 2, 2, kMaxWindowChannels + 1};
    CHECK_THROWS(gather(deep, indices, 0, levels, {}, {}, Window{1, 1}, set, 1, nullptr));
}

bool is(const Padding& padding, std::size_t top, std::size_t bottom, std::size_t left,
        std::size_t right) {
    return padding.top == top && padding.bottom == bottom && padding.left == left &&
           padding.right == right;
}

void test_padding_to() {
    const Images images{nullptr, 2, 5, 8, 1};
    constexpr std::int64_t lowest = std::numeric_limits<std::int64_t>::min();
    constexpr std::int64_t highest = std::numeric_limits<std::int64_t>::max();
    CHECK(is(padding_to(images, 5, 8), 0, 0, 0, 0));
    CHECK(is(padding_to(images, 8, 10), 1, 2, 1, 1));
    CHECK(is(padding_to(images, highest, 9), (highest - 5) / 2, (highest - 5) / 2, 0, 1));
    for (const std::int64_t less : {std::int64_t{4}, std::int64_t{0}, std::int64_t{-1}, lowest}) {
        CHECK_THROWS(padding_to(images, less, 8));
        CHECK_THROWS(padding_to(images, 8, less));
    }
}

void test_batch_shape() {
    const Images images{nullptr, 2, 5, 8, 3};
    const BatchShape shape = batch_shape(images, 7, 3, {1, 2, 3, 4}, {}, DType::float16);
    CHECK(shape.size == 7 && shape.height == 8 && shape.width == 15 && shape.channels == 3);
}

// The largest batch that fits has a shape. One value more throws, also if another dimension is
// empty.
void test_largest_batch() {
    constexpr std::size_t most = std::numeric_limits<std::ptrdiff_t>::max();
    constexpr std::size_t huge = std::numeric_limits<std::size_t>::max();
    const Images dot{nullptr, 1, 1, 1, 1};
    const auto shaped = [&](std::size_t size, std::size_t channels, const Padding& padding,
                            DType dtype) {
        return !check::throws_invalid_argument(
            [&] { batch_shape(dot, size, channels, padding, {}, dtype); });
    };
    CHECK(shaped(most / 4, 1, {}, DType::float32));
    CHECK(!shaped(most / 4 + 1, 1, {}, DType::float32));
    CHECK(shaped(most / 2, 1, {}, DType::bfloat16));
    CHECK(!shaped(most / 2 + 1, 1, {}, DType::bfloat16));
    CHECK(shaped(most, 1, {}, DType::uint8));
    CHECK(!shaped(most + 1, 1, {}, DType::uint8));
    CHECK(shaped(1, most / 4, {}, DType::float32));
    CHECK(!shaped(2, most / 4, {}, DType::float32));
    CHECK(!shaped(1, 1, {std::size_t{1} << 31, 0, 0, std::size_t{1} << 31}, DType::float16));
    CHECK(!shaped(0, 1, {std::size_t{1} << 31, 0, 0, std::size_t{1} << 31}, DType::float16));
    CHECK(shaped(0, 1, {std::size_t{1} << 30, 0, 0, std::size_t{1} << 30}, DType::float16));
    // Sums that wrap around to small numbers.
    CHECK(!shaped(1, 1, {huge, 1, 0, 0}, DType::float16));
    CHECK(!shaped(1, 1, {0, 0, huge, 0}, DType::float16));
    CHECK(!shaped(0, 0, {0, huge, 0, 0}, DType::float16));
    CHECK(!shaped(huge, 1, {}, DType::float16));
}

void test_batches_without_a_shape_are_refused(InstructionSet set) {
    const Levels levels(0, 1, DType::float32);
    const Pixels pixels(1);
    const Images dot{pixels.get(), 1, 1, 1, 1};
    const std::int64_t indices[] = {0, 0, 0};
    constexpr std::size_t quarter = std::size_t{1} << 62;
    constexpr std::size_t huge = std::numeric_limits<std::size_t>::max();
    // In 64 bits, the sizes of the last two would be 0 and 4 bytes.
    for (const Padding& padding :
         {Padding{quarter, 0, 0, 0}, Padding{huge, 0, 0, 0}, Padding{huge, 1, 0, 0}}) {
        float out = -7.0f;
        CHECK_THROWS(gather(dot, indices, 1, levels, {}, padding, {}, set, 1, &out));
        CHECK_THROWS(gather_stacked(dot, indices, 1, 3, levels, {}, padding, {}, set, 1, &out));
        CHECK(out == -7.0f);
    }
}

void test_images_without_pixels_are_all_padding(InstructionSet set) {
    const Levels levels(-1, 1, DType::float32);
    const Pixels pixels(1);
    for (const Images& images : {Images{pixels.get(), 2, 0, 3, 1}, Images{pixels.get(), 2, 3, 0, 1},
                                 Images{pixels.get(), 2, 0, 0, 1}}) {
        CHECK(gathers_right<float>(images, kWhole, {1, 0}, levels, {1, 2, 3, 4}, set, 1, 0));
        CHECK(gathers_right<float>(images, 3, {1, 0, 1}, levels, {1, 2, 3, 4}, set, 1, 0));
        const Window window{2, 6, true, true, 1};
        CHECK(gathers_right<float>(images, kWhole, {1, 0}, levels, {1, 2, 3, 4}, set, 1, 0, {},
                                   &window));
    }
}

void test_indices_are_checked_before_any_write(InstructionSet set) {
    const Levels levels(0, 1, DType::float32);
    const Pixels pixels(2 * 16);
    const Images images{pixels.get(), 2, 4, 4, 1};
    constexpr std::int64_t lowest = std::numeric_limits<std::int64_t>::min();
    constexpr std::int64_t highest = std::numeric_limits<std::int64_t>::max();
    for (const std::int64_t wrong : {std::int64_t{-1}, std::int64_t{2}, lowest, highest}) {
        std::vector<float> out(96, -7.0f);
        const std::int64_t indices[] = {0, wrong};
        CHECK_THROWS(gather(images, indices, 2, levels, {}, {}, {}, set, 0, out.data()));
        for (const std::size_t place : std::initializer_list<std::size_t>{0, 2, 3, 5}) {
            std::int64_t stacked[6] = {0, 1, 0, 1, 1, 0};
            stacked[place] = wrong;
            CHECK_THROWS(
                gather_stacked(images, stacked, 2, 3, levels, {}, {}, {}, set, 0, out.data()));
        }
        CHECK(out == std::vector<float>(96, -7.0f));
    }
}

void test_what_cannot_be_stacked(InstructionSet set) {
    const Levels levels(0, 1, DType::float32);
    const Pixels pixels(2 * 2 * kMaxStack);
    const Images grey{pixels.get(), 2, 1, 2, 1};
    const Images colour{pixels.get(), 2, 1, 2, 3};
    const std::vector<std::int64_t> indices(kMaxStack + 1, 0);
    std::vector<float> out(2 * (kMaxStack + 1), -7.0f);
    CHECK_THROWS(
        gather_stacked(grey, indices.data(), 1, 0, levels, {}, {}, {}, set, 1, out.data()));
    CHECK_THROWS(gather_stacked(grey, indices.data(), 1, kMaxStack + 1, levels, {}, {}, {}, set, 1,
                                out.data()));
    CHECK_THROWS(
        gather_stacked(colour, indices.data(), 1, 3, levels, {}, {}, {}, set, 1, out.data()));
    CHECK(out == std::vector<float>(2 * (kMaxStack + 1), -7.0f));
}

}  // namespace

int main() {
    test_padding_to();
    test_batch_shape();
    test_largest_batch();
    test_high_product();
    for (const InstructionSet set : instruction_sets()) {
        test_every_size(set, Levels(-1, 1, DType::float32));
        test_every_size(set, Levels(0.1, 0.9, DType::float32));
        test_every_size(set, Levels(-1, 1, DType::float16));
        test_every_size(set, Levels(0, 1, DType::bfloat16));
        test_every_size(set, Levels(-1, 1, DType::float32, 16));
        test_every_size(set, Levels::integers());
        test_every_size(set, Levels::integers(16));
        test_every_size(set, Levels::integers(255));
        test_every_stack(set, Levels(-1, 1, DType::float32));
        test_every_stack(set, Levels(0.1, 0.9, DType::float32));
        test_every_stack(set, Levels(0, 1, DType::bfloat16));
        test_every_stack(set, Levels::integers());
        test_every_stack(set, Levels::integers(7));
        test_padding_and_threads(set, Levels(-1, 1, DType::float32));
        test_padding_and_threads(set, Levels::integers());
        test_padding_and_threads(set, Levels::integers(16));
        test_binarized(set, {Binarization::threshold, 0});
        test_binarized(set, {Binarization::drawn, 12345});
        test_windows(set, {});
        test_windows(set, {Binarization::drawn, 12345});
        test_a_window_by_hand(set);
        test_windows_that_are_refused(set);
        test_images_without_pixels_are_all_padding(set);
        test_batches_without_a_shape_are_refused(set);
        test_indices_are_checked_before_any_write(set);
        test_what_cannot_be_stacked(set);
    }
    std::printf("%zu instruction sets\n", instruction_sets().size());
    return check::result();
}
