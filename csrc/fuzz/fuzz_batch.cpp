// The input chooses binarisation, images, indices, padding, window, range, dtype, number of levels,
// instruction set and threads. Every value that gather writes is compared, to the bit, with a
// reference that computes a pixel at a time. Invalid arguments must throw before anything is
// written. Pixels and output end where memory ends, so that even a masked load beyond them is
// found. Seeds: corpus/batch.
#include <sanitizer/asan_interface.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <optional>
#include <stdexcept>
#include <vector>

#include "batch.h"

namespace {

using namespace kgan;

constexpr std::size_t kRoom = std::size_t{1} << 17;  // bytes, for all pixels and for all values
constexpr std::size_t kGuard = 64;                   // bytes before the values
constexpr std::uint8_t kUntouched = 0xA5;

// For loops of the target itself: their coverage means nothing, and recording it would take most of
// the time.
#define UNOBSERVED __attribute__((noinline, no_sanitize("coverage")))

void require(bool holds) {
    if (!holds) std::abort();
}

template <typename Function>
bool refuses(Function function) {
    try {
        function();
    } catch (const std::invalid_argument&) {
        return true;
    }
    return false;
}

// The fuzzer's bytes from the front or from the end, then zeros.
class Input {
  public:
    Input(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

    UNOBSERVED std::size_t byte() {
        if (size_ == 0) return 0;
        --size_;
        return *data_++;
    }

    UNOBSERVED std::size_t last_byte() { return size_ == 0 ? 0 : data_[--size_]; }

    template <typename Value>
    Value raw() {
        return value_of<Value>([this] { return byte(); });
    }

    template <typename Value>
    Value raw_last() {
        return value_of<Value>([this] { return last_byte(); });
    }

  private:
    template <typename Value, typename Next>
    static Value value_of(Next next) {
        std::uint8_t bytes[sizeof(Value)];
        for (std::uint8_t& each : bytes) each = static_cast<std::uint8_t>(next());
        Value value;
        std::memcpy(&value, bytes, sizeof value);
        return value;
    }

    const std::uint8_t* data_;
    std::size_t size_;
};

// Memory for kGuard + kRoom bytes, followed by a page without access.
class Arena {
  public:
    Arena() {
        const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
        size_ = (kGuard + kRoom + page - 1) / page * page;
        void* memory =
            mmap(nullptr, size_ + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        require(memory != MAP_FAILED);
        begin_ = static_cast<std::uint8_t*>(memory);
        require(mprotect(begin_ + size_, page, PROT_NONE) == 0);
    }

    // The last `size` bytes.
    std::uint8_t* last(std::size_t size) const { return begin_ + size_ - size; }

    // Allows access to the last `size` bytes only, to within the eight bytes of a granule of
    // AddressSanitizer.
    void allow_last(std::size_t size) const {
        ASAN_POISON_MEMORY_REGION(begin_, size_);
        ASAN_UNPOISON_MEMORY_REGION(last(size), size);
    }

  private:
    std::uint8_t* begin_;
    std::size_t size_;
};

struct Range {
    double low;
    double high;
};

// Ranges with and without vector code, and some that not every dtype has.
constexpr Range kRanges[] = {{-1, 1},      {0, 1},   {0, 255}, {-0.5, 0.5},  {0.1, 0.9},
                             {-1e3, 1e-3}, {0, 6e4}, {1, -1},  {-3e38, 3e38}};

struct Case {
    Binarize binarize;
    bool stacked;
    std::size_t stack;  // used if stacked
    InstructionSet set;
    DType dtype;
    unsigned levels;
    Range range;
    unsigned threads;
    Images images;  // without its pixels
    std::size_t batch_size;

    std::size_t channels() const { return stacked ? stack : images.channels; }
};

Case read_case(Input& input) {
    Case it{};
    const std::size_t how = input.byte() % 4;
    if (how == 1) it.binarize.how = Binarization::threshold;
    if (how > 1) it.binarize = {Binarization::drawn, input.raw<std::uint64_t>()};
    const std::size_t kind = input.byte();
    it.stacked = kind % 2 == 1;
    // Mostly small stacks; sometimes any size, valid or not.
    it.stack = kind < 192 ? 1 + kind / 2 % 4 : input.byte();
    // Sometimes a set that no processor has.
    const std::size_t set = input.byte();
    it.set = set < 240 ? std::array{InstructionSet::portable, InstructionSet::avx2,
                                    InstructionSet::avx512}[set % 3]
                       : InstructionSet{99};
    // The first kinds are those of older seeds.
    constexpr std::array dtypes{DType::float32, DType::float16, DType::bfloat16, DType::uint8};
    const std::size_t dtype = input.byte();
    it.dtype = dtypes[dtype < 192 ? dtype % 3 : dtype % 4];
    it.levels = 256;
    if (dtype >= 192) {
        const std::size_t levels = input.byte();
        it.levels = levels < 248 ? static_cast<unsigned>(levels) + 2 : input.raw<unsigned>();
    }
    const std::size_t range = input.byte() % (std::size(kRanges) + 1);
    if (range < std::size(kRanges)) {
        it.range = kRanges[range];
    } else {
        it.range.low = input.raw<double>();
        it.range.high = input.raw<double>();
    }
    // Rarely several: starting a thread takes as long as everything else.
    const std::size_t threads = input.byte();
    it.threads = threads < 224 ? 1 : static_cast<unsigned>(threads % 9);
    it.images.count = input.byte() % 8;
    it.images.height = input.byte() % 6;
    // Short rows, and rows that are prepared in several parts.
    const std::size_t width = input.raw<std::uint16_t>();
    it.images.width = width < 0xF000 ? width % 72 : width % 2500;
    const std::size_t channels = input.byte();
    it.images.channels = it.stacked && channels < 240 ? 1 : channels % 6;
    it.batch_size = input.byte() % 9;
    return it;
}

// Padding of all kinds, or nothing if padding_to rightly throws.
std::optional<Padding> read_padding(Input& input, const Images& images) {
    const std::size_t kind = input.byte();
    if (kind < 64) return Padding{};
    if (kind < 128)
        return Padding{input.byte() % 5, input.byte() % 5, input.byte() % 5, input.byte() % 5};
    if (kind < 144)
        return Padding{input.raw<std::size_t>(), input.raw<std::size_t>(), input.raw<std::size_t>(),
                       input.raw<std::size_t>()};
    std::int64_t height;
    std::int64_t width;
    if (kind < 240) {
        height = static_cast<std::int64_t>(images.height + input.byte() % 9) - 1;
        width = static_cast<std::int64_t>(images.width + input.byte() % 9) - 1;
    } else {
        height = input.raw<std::int64_t>();
        width = input.raw<std::int64_t>();
    }
    Padding padding{};
    const bool refused = refuses([&] { padding = padding_to(images, height, width); });
    const auto own_height = static_cast<std::int64_t>(images.height);
    const auto own_width = static_cast<std::int64_t>(images.width);
    require(refused == (height < own_height || width < own_width));
    if (refused) return std::nullopt;
    const auto extra_height = static_cast<std::size_t>(height - own_height);
    const auto extra_width = static_cast<std::size_t>(width - own_width);
    require(padding.top + padding.bottom == extra_height && padding.top == extra_height / 2);
    require(padding.left + padding.right == extra_width && padding.left == extra_width / 2);
    return padding;
}

// Windows of all kinds, valid or not, or none. Read from the end: the seeds that are older end with
// a byte of 0, which means none.
std::optional<Window> read_window(Input& input, const Images& images, const Padding& padding) {
    const std::size_t kind = input.last_byte();
    if (kind < 64) return std::nullopt;
    Window window{};
    window.moves = kind % 2 == 1;
    window.mirrors = kind / 2 % 2 == 1;
    if (kind < 224) {
        // At most as large as the padded images, or, wrapped around, far too large.
        window.height = images.height + padding.top + padding.bottom - input.last_byte() % 8;
        window.width = images.width + padding.left + padding.right - input.last_byte() % 64;
    } else if (kind < 240) {
        const auto height = input.raw_last<std::int64_t>();
        const auto width = input.raw_last<std::int64_t>();
        Window made{};
        const bool refused = refuses([&] { made = window_of(height, width); });
        require(refused == (height < 1 || width < 1));
        require(!made.moves && !made.mirrors);
        window.height = made.height;
        window.width = made.width;
    } else {
        window.height = input.raw_last<std::uint16_t>() % 300;
        window.width = input.raw_last<std::uint16_t>() % 300;
    }
    window.key = input.raw_last<std::uint64_t>();
    return window;
}

std::size_t bytes_of(DType dtype) {
    if (dtype == DType::uint8) return 1;
    return dtype == DType::float32 ? 4 : 2;
}

using Wide = unsigned __int128;

// The bytes of a batch by batch_shape, or nothing if batch_shape rightly throws.
std::optional<std::size_t> batch_bytes(const Case& it, const Padding& padding,
                                       const std::optional<Window>& window) {
    Wide height = Wide{padding.top} + it.images.height + padding.bottom;
    Wide width = Wide{padding.left} + it.images.width + padding.right;
    constexpr Wide limit = std::numeric_limits<std::int64_t>::max();
    Wide bytes = bytes_of(it.dtype);
    bool fits = true;
    if (window) {
        fits = height <= limit && width <= limit && window->height >= 1 && window->width >= 1 &&
               window->height <= height && window->width <= width &&
               it.images.channels <= kMaxWindowChannels;
        height = window->height;
        width = window->width;
    }
    for (const Wide each : {Wide{it.batch_size}, height, width, Wide{it.channels()}}) {
        // Both are at most 2^63, so the product is exact.
        fits = fits && each <= limit && bytes * std::max(each, Wide{1}) <= limit;
        if (fits) bytes *= std::max(each, Wide{1});
    }
    BatchShape shape{};
    const bool refused = refuses([&] {
        shape = batch_shape(it.images, it.batch_size, it.channels(), padding, window, it.dtype);
    });
    require(refused == !fits);
    if (refused) return std::nullopt;
    require(shape.size == it.batch_size && shape.channels == it.channels());
    require(shape.height == height && shape.width == width);
    return shape.size * shape.height * shape.width * shape.channels * bytes_of(it.dtype);
}

// The magnitude that the dtype rounds to infinity.
double too_large(DType dtype) {
    switch (dtype) {
        case DType::float16:
            return 65520.0;
        case DType::bfloat16:
            return 0x1.FFp127;
        default:
            return 0x1.FFFFFFp127;
    }
}

// The finite values from 0 up of a 16-bit format, each at the index of its bits.
std::vector<double> finite_values(int exponent_bits) {
    const int mantissa_bits = 15 - exponent_bits;
    const int bias = (1 << (exponent_bits - 1)) - 1;
    std::vector<double> values;
    for (int exponent = 0; exponent < (1 << exponent_bits) - 1; ++exponent) {
        for (int mantissa = 0; mantissa < 1 << mantissa_bits; ++mantissa) {
            const int whole = exponent == 0 ? mantissa : mantissa + (1 << mantissa_bits);
            values.push_back(std::ldexp(whole, std::max(exponent, 1) - bias - mantissa_bits));
        }
    }
    return values;
}

// Searches all values for the nearest; of two at the same distance, the even one.
UNOBSERVED std::uint32_t bits16(double value, const std::vector<double>& values) {
    const double magnitude = std::fabs(value);
    std::uint32_t bits = 0;
    for (std::uint32_t step = 1u << 15; step != 0; step /= 2) {
        const std::uint32_t next = bits + step;
        if (next < values.size() && values[next] <= magnitude) bits = next;
    }
    if (bits + 1 < values.size()) {
        const double to_below = magnitude - values[bits];
        const double to_above = values[bits + 1] - magnitude;
        if (to_above < to_below || (to_above == to_below && bits % 2 == 1)) ++bits;
    }
    return std::signbit(value) ? bits | 0x8000u : bits;
}

using Table = std::array<std::uint32_t, 256>;

// The expected bits of each pixel level.
UNOBSERVED Table expected_levels(const Case& it) {
    static const std::vector<double> float16 = finite_values(5);
    static const std::vector<double> bfloat16 = finite_values(8);
    const double last = it.levels - 1.0;
    unsigned level = 0;
    Table table{};
    for (unsigned k = 0; k < 256; ++k) {
        // The levels share 256 steps of a pixel evenly.
        while ((level + 1) * 256 <= k * it.levels) ++level;
        double value = (it.range.low * (last - level) + it.range.high * level) / last;
        if (level == 0) value = it.range.low;
        if (level == last) value = it.range.high;
        value += 0.0;  // -0 becomes 0
        std::uint32_t& bits = table[k];
        if (it.dtype == DType::uint8) {
            bits = level;
        } else if (it.dtype == DType::float32) {
            const auto single = static_cast<float>(value);
            std::memcpy(&bits, &single, sizeof single);
        } else {
            bits = bits16(value, it.dtype == DType::float16 ? float16 : bfloat16);
        }
    }
    return table;
}

std::optional<Levels> make_levels(const Case& it) {
    const auto [low, high] = it.range;
    std::optional<Levels> levels;
    bool valid = it.levels >= 2 && it.levels <= 256;
    bool refused;
    if (it.dtype == DType::uint8) {
        refused = refuses([&] { levels = Levels::integers(it.levels); });
    } else {
        refused = refuses(
            [&, low = low, high = high] { levels.emplace(low, high, it.dtype, it.levels); });
        const double limit = too_large(it.dtype);
        valid = valid && low < high && std::fabs(low) < limit && std::fabs(high) < limit;
    }
    require(refused == !valid);
    return levels;
}

// SplitMix64's finaliser.
UNOBSERVED std::uint64_t mixed(std::uint64_t z) {
    z ^= z >> 30;
    z *= 0xBF58476D1CE4E5B9u;
    z ^= z >> 27;
    z *= 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

// The level that a pixel has in a batch: `position` counts the pixels of image `row`.
UNOBSERVED std::uint8_t expected_level(const Binarize& binarize, std::uint8_t level,
                                       std::uint64_t row, std::uint64_t position) {
    constexpr std::uint64_t step = 0x9E3779B97F4A7C15u;
    if (binarize.how == Binarization::none) return level;
    if (binarize.how == Binarization::threshold) return level >= 128 ? 255 : 0;
    const std::uint64_t start = mixed(binarize.key + step * (row + 1)) + step;
    for (std::uint64_t trial = 0;; ++trial) {
        const std::uint64_t word = mixed(start + step * (position / 8 + (trial << 40)));
        const std::uint64_t number = word >> position % 8 * 8 & 0xFF;
        if (number != 255) return number < level ? 255 : 0;
    }
}

// A draw below `count`, of the words that window.h defines.
UNOBSERVED std::size_t drawn_place(const Window& window, std::uint64_t row, std::uint64_t number,
                                   std::size_t count) {
    constexpr std::uint64_t step = 0x9E3779B97F4A7C15u;
    const std::uint64_t word = mixed(mixed(window.key + step * (row + 1)) + step * (number + 1));
    return static_cast<std::size_t>(Wide{word} * count >> 64);
}

// Where pixel (y, x) of a batch is in the padded image of a row.
struct Point {
    std::size_t y;
    std::size_t x;
};

UNOBSERVED Point source_of(const Case& it, const Padding& padding,
                           const std::optional<Window>& window, std::uint64_t row, Point at) {
    if (!window) return at;
    const std::size_t spare_height =
        padding.top + it.images.height + padding.bottom - window->height;
    const std::size_t spare_width = padding.left + it.images.width + padding.right - window->width;
    if (window->mirrors && drawn_place(*window, row, 2, 2) == 1) at.x = window->width - 1 - at.x;
    at.y += window->moves ? drawn_place(*window, row, 0, spare_height + 1) : spare_height / 2;
    at.x += window->moves ? drawn_place(*window, row, 1, spare_width + 1) : spare_width / 2;
    return at;
}

UNOBSERVED void compare(const Case& it, const Padding& padding, const std::optional<Window>& window,
                        const std::vector<std::int64_t>& indices, const Table& table,
                        const std::uint8_t* values) {
    const Images& images = it.images;
    const std::size_t size = bytes_of(it.dtype);
    const std::size_t height =
        window ? window->height : padding.top + images.height + padding.bottom;
    const std::size_t width = window ? window->width : padding.left + images.width + padding.right;
    for (std::size_t i = 0; i < it.batch_size; ++i) {
        for (std::size_t y = 0; y < height; ++y) {
            for (std::size_t x = 0; x < width; ++x) {
                for (std::size_t c = 0; c < it.channels(); ++c) {
                    const std::int64_t image = indices[it.stacked ? i * it.stack + c : i];
                    const auto row = static_cast<std::size_t>(image);
                    const Point from = source_of(it, padding, window, row, {y, x});
                    std::uint8_t pixel = 0;
                    if (from.y >= padding.top && from.y < padding.top + images.height &&
                        from.x >= padding.left && from.x < padding.left + images.width) {
                        std::size_t place = from.y - padding.top;
                        place = place * images.width + (from.x - padding.left);
                        place = place * images.channels + (it.stacked ? 0 : c);
                        const std::size_t image_size =
                            images.height * images.width * images.channels;
                        pixel = expected_level(it.binarize, images.pixels[row * image_size + place],
                                               row, place);
                    }
                    for (std::size_t byte = 0; byte < size; ++byte) {
                        // Little-endian, as all processors with vector code are.
                        if (*values++ != (table[pixel] >> 8 * byte & 0xFF)) std::abort();
                    }
                }
            }
        }
    }
}

UNOBSERVED bool untouched(const std::uint8_t* bytes, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
        if (bytes[i] != kUntouched) return false;
    }
    return true;
}

// Pixels that differ from place to place, also when no input is left.
UNOBSERVED void fill_pixels(std::uint8_t* pixels, std::size_t size, Input& input) {
    for (std::size_t i = 0; i < size; ++i) {
        pixels[i] = static_cast<std::uint8_t>(input.byte() ^ (i * 0x9E3779B1u >> 13));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Arena pixel_arena;
    static const Arena value_arena;
    static const std::vector<InstructionSet> sets = instruction_sets();

    Input input(data, size);
    Case it = read_case(input);
    const std::optional<Levels> levels = make_levels(it);
    const std::optional<Padding> padding = read_padding(input, it.images);
    if (!levels || !padding) return 0;
    const std::optional<Window> window = read_window(input, it.images, *padding);

    const std::size_t image_size = it.images.height * it.images.width * it.images.channels;
    if (image_size != 0) it.images.count = std::min(it.images.count, kRoom / image_size);
    std::optional<std::size_t> bytes = batch_bytes(it, *padding, window);
    // Fewer images if there is no room for all, down to none.
    while (bytes && *bytes > kRoom) {
        it.batch_size /= 2;
        bytes = batch_bytes(it, *padding, window);
    }

    bool valid = bytes.has_value() && std::find(sets.begin(), sets.end(), it.set) != sets.end();
    if (it.stacked) {
        valid = valid && it.stack >= 1 && it.stack <= kMaxStack && it.images.channels == 1;
    }
    std::vector<std::int64_t> indices(it.batch_size * (it.stacked ? it.stack : 1));
    for (std::int64_t& index : indices) {
        const std::size_t byte = input.byte();
        index = byte == 255 ? input.raw<std::int64_t>() : static_cast<std::int64_t>(byte);
        if (byte < 248 && it.images.count != 0) {
            index %= static_cast<std::int64_t>(it.images.count);
        }
        valid = valid && index >= 0 && static_cast<std::uint64_t>(index) < it.images.count;
    }

    const std::size_t pixel_bytes = it.images.count * image_size;
    pixel_arena.allow_last(pixel_bytes);
    std::uint8_t* pixels = pixel_arena.last(pixel_bytes);
    fill_pixels(pixels, pixel_bytes, input);
    it.images.pixels = pixels;

    // A batch without a shape is never written, so it needs no memory.
    const std::size_t value_bytes = bytes.value_or(0);
    std::uint8_t* values = value_arena.last(value_bytes);
    std::memset(values - kGuard, kUntouched, kGuard + value_bytes);
    const bool refused = refuses([&] {
        if (it.stacked) {
            gather_stacked(it.images, indices.data(), it.batch_size, it.stack, *levels, it.binarize,
                           *padding, window, it.set, it.threads, values);
        } else {
            gather(it.images, indices.data(), it.batch_size, *levels, it.binarize, *padding, window,
                   it.set, it.threads, values);
        }
    });
    require(refused == !valid);
    require(untouched(values - kGuard, kGuard));
    if (refused) {
        require(untouched(values, value_bytes));
    } else if (value_bytes != 0) {  // a batch of no values may have many rows
        compare(it, *padding, window, indices, expected_levels(it), values);
    }
    return 0;
}
