// The inner loops need no checks. Before the first write, all indices are checked and the size of
// the batch is known not to overflow. Each image then reads and writes a fixed number of elements.
//
// Images are binarised and stacked a few thousand bytes at a time, in the first-level cache. So one
// way to convert and pad serves all batches, and no prepared image is written to memory.
#include "batch.h"

#include <algorithm>
#include <exception>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "binarize.h"
#include "compiler.h"
#include "interleave.h"
#include "rows.h"

namespace kgan {
namespace {

constexpr std::size_t kCacheLine = 64;
// Starting a thread takes tens of microseconds, about as long as converting so many elements.
constexpr std::size_t kElementsPerThread = std::size_t{1} << 19;
constexpr unsigned kMaxAutomaticThreads = 8;

void convert_row_table(const std::uint8_t* pixels, float* values, std::size_t count,
                       const Levels& levels) {
    const float* table = levels.values32().data();
    for (std::size_t i = 0; i < count; ++i) values[i] = table[pixels[i]];
}

void convert_row_bits16(const std::uint8_t* pixels, std::uint16_t* values, std::size_t count,
                        const Levels& levels) {
    const std::uint16_t* table = levels.bits16().data();
    for (std::size_t i = 0; i < count; ++i) values[i] = table[pixels[i]];
}

ConvertRow choose_row([[maybe_unused]] InstructionSet set, [[maybe_unused]] const Levels& levels) {
#ifdef KGAN_X86_64
    if (levels.is_linear()) {
        if (set == InstructionSet::avx512) return convert_row_avx512;
        if (set == InstructionSet::avx2) return convert_row_avx2;
    }
#endif
    return convert_row_table;
}

void interleave3_portable(const std::uint8_t* a, const std::uint8_t* b, const std::uint8_t* c,
                          std::size_t count, std::uint8_t* out) {
    for (std::size_t i = 0; i < count; ++i) {
        out[3 * i] = a[i];
        out[3 * i + 1] = b[i];
        out[3 * i + 2] = c[i];
    }
}

Interleave3 choose_interleave3([[maybe_unused]] InstructionSet set) {
#ifdef KGAN_X86_64
    if (set != InstructionSet::portable) return interleave3_avx2;
#endif
    return interleave3_portable;
}

// How many bytes ahead of the conversion memory is prefetched. Measured: with three MNIST images
// ahead, into the second-level cache, random order is as fast as sequential order. One image ahead
// is too late. Into the first-level cache, the requests stall the conversion.
constexpr std::size_t kPrefetchDistance = 3072;

// Must be inlined: GCC treats a function that only prefetches as one without effect and drops the
// calls, which halves the speed.
KGAN_ALWAYS_INLINE inline void prefetch_image(const std::uint8_t* pixels, std::size_t size) {
    // Once a long run has begun, the hardware prefetches the rest.
    size = std::min(size, 2 * kPrefetchDistance);
    for (std::size_t i = 0; i < size; i += kCacheLine) KGAN_PREFETCH(pixels + i);
}

// Bytes that are prepared before they are converted. They stay in the first-level cache together
// with their values, and they are enough for three channels of MNIST.
constexpr std::size_t kPrepared = 4096;
static_assert(kMaxStack * kInterleavedPixels <= kPrepared);

// Where a thread prepares the bytes of an image.
struct Scratch {
    alignas(kCacheLine) std::uint8_t binary[kPrepared];
    alignas(kCacheLine) std::uint8_t interleaved[kPrepared];
};

class Binarizer {
  public:
    Binarizer(const Binarize& binarize, InstructionSet set)
        : how_(binarize.how), key_(binarize.key), draw_(choose_draw(set)) {}

    bool changes_pixels() const { return how_ != Binarization::none; }

    // Pixels [first, first + count) of image `row`, which begin at `pixels`, as bytes of the batch:
    // where they are, or binarised in `out`. `first` must be a multiple of 8.
    const std::uint8_t* operator()(const std::uint8_t* pixels, std::size_t row, std::size_t first,
                                   std::size_t count, std::uint8_t* out) const {
        if (how_ == Binarization::none) return pixels;
        if (how_ == Binarization::threshold) {
            binarize_threshold(pixels, count, out);
        } else {
            draw_(pixels, first, count, row_key(key_, row), out);
        }
        return out;
    }

  private:
    static BinarizeDrawn choose_draw([[maybe_unused]] InstructionSet set) {
#ifdef KGAN_X86_64
        if (set == InstructionSet::avx512) return binarize_drawn_avx512;
        if (set == InstructionSet::avx2) return binarize_drawn_avx2;
#endif
        return binarize_drawn_portable;
    }

    Binarization how_;
    std::uint64_t key_;
    BinarizeDrawn draw_;
};

// A batch whose images are images of the data set.
struct WholeImages {
    const Images& images;
    const std::int64_t* indices;
    Binarizer binarizer;

    std::size_t channels() const { return images.channels; }
    std::size_t part_count() const { return 1; }
    std::size_t part_size() const { return images.height * images.width * images.channels; }

    std::size_t row(std::size_t i) const { return static_cast<std::size_t>(indices[i]); }

    // The memory that the i-th image of the batch is made of.
    const std::uint8_t* part(std::size_t i, std::size_t /*number*/) const {
        return images.pixels + row(i) * part_size();
    }

    // How many bytes of an image can be asked for at once: a multiple of 8, or all of them.
    std::size_t bytes_at_once() const {
        return binarizer.changes_pixels() ? kPrepared : part_size();
    }

    // Bytes [first, first + count) of the i-th image, which may be in `scratch`.
    const std::uint8_t* bytes(std::size_t i, std::size_t first, std::size_t count,
                              Scratch& scratch) const {
        return binarizer(part(i, 0) + first, row(i), first, count, scratch.binary);
    }
};

// A batch whose images have an image of one channel for each of their channels.
struct StackedImages {
    const Images& images;
    const std::int64_t* indices;
    std::size_t stack;
    Interleave3 interleave3;
    Binarizer binarizer;

    std::size_t channels() const { return stack; }
    std::size_t part_count() const { return stack; }
    std::size_t part_size() const { return images.height * images.width; }

    std::size_t row(std::size_t i, std::size_t number) const {
        return static_cast<std::size_t>(indices[i * stack + number]);
    }

    const std::uint8_t* part(std::size_t i, std::size_t number) const {
        return images.pixels + row(i, number) * part_size();
    }

    // Whole vectors, so that at most the last of an image is short.
    std::size_t pixels_at_once() const {
        return kPrepared / stack / kInterleavedPixels * kInterleavedPixels;
    }

    std::size_t bytes_at_once() const { return pixels_at_once() * stack; }

    const std::uint8_t* bytes(std::size_t i, std::size_t first, std::size_t count,
                              Scratch& scratch) const {
        const std::size_t first_pixel = first / stack;
        const std::size_t pixels = count / stack;
        const auto channel = [&](std::size_t c) {
            return binarizer(part(i, c) + first_pixel, row(i, c), first_pixel, pixels,
                             scratch.binary + c * pixels);
        };
        std::uint8_t* out = scratch.interleaved;
        if (stack == 3) {
            interleave3(channel(0), channel(1), channel(2), pixels, out);
            return out;
        }
        for (std::size_t c = 0; c < stack; ++c) {
            const std::uint8_t* bytes = channel(c);
            for (std::size_t p = 0; p < pixels; ++p) out[p * stack + c] = bytes[p];
        }
        return out;
    }
};

template <typename Source, typename Value, typename Row>
void gather_range(const Source& source, std::size_t first, std::size_t last, const Levels& levels,
                  const Padding& padding, Value low, Row convert_row, Value* out) {
    const std::size_t channels = source.channels();
    const std::size_t size = source.part_size() * source.part_count();
    const std::size_t left = padding.left * channels;
    const std::size_t right = padding.right * channels;
    const std::size_t padded_row = left + source.images.width * channels + right;
    const std::size_t out_size = (padding.top + source.images.height + padding.bottom) * padded_row;
    // Rows without padding between them are one.
    const std::size_t row = left + right == 0 ? size : padded_row - left - right;
    const std::size_t ahead =
        std::clamp<std::size_t>(kPrefetchDistance / std::max<std::size_t>(1, size), 1, 16);
    Scratch scratch;
    Value* values = out + first * out_size;
    if (size == 0) {
        std::fill_n(values, (last - first) * out_size, low);
        return;
    }
    for (std::size_t i = first; i < last; ++i) {
        for (std::size_t part = 0; part < source.part_count() && ahead < last - i; ++part) {
            prefetch_image(source.part(i + ahead, part), source.part_size());
        }
        // The right padding of a row and the left padding of the next are filled as one.
        std::size_t gap = padding.top * padded_row + left;
        std::size_t missing = 0;  // bytes that the present row still needs
        for (std::size_t begin = 0; begin < size; begin += source.bytes_at_once()) {
            const std::size_t count = std::min(source.bytes_at_once(), size - begin);
            const std::uint8_t* bytes = source.bytes(i, begin, count, scratch);
            for (std::size_t done = 0; done < count;) {
                if (missing == 0) {
                    values = std::fill_n(values, gap, low);
                    gap = right + left;
                    missing = row;
                }
                const std::size_t run = std::min(missing, count - done);
                convert_row(bytes + done, values, run, levels);
                values += run;
                done += run;
                missing -= run;
            }
        }
        values = std::fill_n(values, right + padding.bottom * padded_row, low);
    }
}

unsigned choose_threads(unsigned threads, std::size_t batch_size, std::size_t elements) {
    if (threads == 0) {
        // Asked only once: the C library opens a file to answer.
        static const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
        const std::size_t useful = std::max<std::size_t>(1, elements / kElementsPerThread);
        threads =
            static_cast<unsigned>(std::min<std::size_t>({useful, cores, kMaxAutomaticThreads}));
    }
    return static_cast<unsigned>(
        std::min<std::size_t>(threads, std::max<std::size_t>(1, batch_size)));
}

// Calls work(first, last), which must not throw, over [0, size) in equal parts. If the system
// cannot start a thread, the calling thread does that part too. An exception that left here while
// threads run would end the program.
template <typename Work>
void share(std::size_t size, unsigned threads, Work work) {
    std::vector<std::thread> helpers;
    helpers.reserve(threads);
    std::size_t first = 0;
    for (unsigned t = 1; t < threads; ++t) {
        const std::size_t last = size * t / threads;
        try {
            helpers.emplace_back(work, first, last);
        } catch (const std::exception&) {
            work(first, last);
        }
        first = last;
    }
    work(first, size);
    for (std::thread& helper : helpers) helper.join();
}

void check_instruction_set(InstructionSet set) {
    const std::vector<InstructionSet> sets = instruction_sets();
    if (std::find(sets.begin(), sets.end(), set) == sets.end()) {
        throw std::invalid_argument("this processor does not have that instruction set");
    }
}

// `place(i)` names the place of index i for the error message, as the caller's array has it.
template <typename Place>
void check_indices(const std::int64_t* indices, std::size_t size, std::size_t count, Place place) {
    for (std::size_t i = 0; i < size; ++i) {
        if (indices[i] >= 0 && static_cast<std::uint64_t>(indices[i]) < count) continue;
        std::ostringstream message;
        message << "indices must be at least 0 and below the number of images, " << count
                << ". Received: indices[" << place(i) << "]=" << indices[i];
        throw std::invalid_argument(message.str());
    }
}

std::pair<std::size_t, std::size_t> split_padding(std::size_t from, std::int64_t to) {
    if (to < 0 || static_cast<std::uint64_t>(to) < from) {
        std::ostringstream message;
        message << "pad_to must be at least the images' own height and width. Received: " << to
                << " for " << from;
        throw std::invalid_argument(message.str());
    }
    const std::size_t extra = static_cast<std::size_t>(to) - from;
    return {extra / 2, extra - extra / 2};
}

// The sum, or the largest size if the sum overflows.
std::size_t bounded_sum(std::size_t a, std::size_t b, std::size_t c) {
    constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
    const std::size_t two = a > most - b ? most : a + b;
    return two > most - c ? most : two + c;
}

// Gathers from either source. The indices must have been checked.
template <typename Source>
void gather_from(const Source& source, std::size_t batch_size, const Levels& levels,
                 const Padding& padding, InstructionSet instruction_set, unsigned threads,
                 void* out) {
    const BatchShape shape =
        batch_shape(source.images, batch_size, source.channels(), padding, levels.dtype());
    threads = choose_threads(threads, batch_size,
                             shape.size * shape.height * shape.width * shape.channels);
    if (levels.dtype() == DType::float32) {
        const ConvertRow convert_row = choose_row(instruction_set, levels);
        share(batch_size, threads, [&](std::size_t first, std::size_t last) {
            gather_range(source, first, last, levels, padding, levels.values32()[0], convert_row,
                         static_cast<float*>(out));
        });
    } else {
        share(batch_size, threads, [&](std::size_t first, std::size_t last) {
            gather_range(source, first, last, levels, padding, levels.bits16()[0],
                         convert_row_bits16, static_cast<std::uint16_t*>(out));
        });
    }
}

}  // namespace

std::vector<InstructionSet> instruction_sets() {
    std::vector<InstructionSet> sets{InstructionSet::portable};
#ifdef KGAN_X86_64
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        sets.push_back(InstructionSet::avx2);
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
            sets.push_back(InstructionSet::avx512);
        }
    }
#endif
    return sets;
}

Padding padding_to(const Images& images, std::int64_t height, std::int64_t width) {
    const auto [top, bottom] = split_padding(images.height, height);
    const auto [left, right] = split_padding(images.width, width);
    return {top, bottom, left, right};
}

BatchShape batch_shape(const Images& images, std::size_t batch_size, std::size_t channels,
                       const Padding& padding, DType dtype) {
    constexpr auto limit = static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max());
    const BatchShape shape{batch_size, bounded_sum(padding.top, images.height, padding.bottom),
                           bounded_sum(padding.left, images.width, padding.right), channels};
    // No product overflows: each factor is compared with the divided limit first.
    std::size_t bytes = dtype == DType::float32 ? sizeof(float) : sizeof(std::uint16_t);
    for (const std::size_t each : {shape.size, shape.height, shape.width, shape.channels}) {
        if (each > limit / bytes) {
            std::ostringstream message;
            message << "the batch would be too large: expected at most " << limit
                    << " bytes. Received: " << shape.size << " images of " << shape.height << " x "
                    << shape.width << " pixels, with " << shape.channels << " channels";
            throw std::invalid_argument(message.str());
        }
        bytes *= std::max<std::size_t>(1, each);
    }
    return shape;
}

void gather(const Images& images, const std::int64_t* indices, std::size_t batch_size,
            const Levels& levels, const Binarize& binarize, const Padding& padding,
            InstructionSet instruction_set, unsigned threads, void* out) {
    check_instruction_set(instruction_set);
    check_indices(indices, batch_size, images.count, [](std::size_t i) { return i; });
    const WholeImages source{images, indices, Binarizer(binarize, instruction_set)};
    gather_from(source, batch_size, levels, padding, instruction_set, threads, out);
}

void gather_stacked(const Images& images, const std::int64_t* indices, std::size_t batch_size,
                    std::size_t stack, const Levels& levels, const Binarize& binarize,
                    const Padding& padding, InstructionSet instruction_set, unsigned threads,
                    void* out) {
    check_instruction_set(instruction_set);
    if (images.channels != 1 || stack == 0 || stack > kMaxStack) {
        std::ostringstream message;
        message << "a stack must be of 1 to " << kMaxStack
                << " images, of one channel each. Received: stack=" << stack
                << ", channels=" << images.channels;
        throw std::invalid_argument(message.str());
    }
    check_indices(indices, batch_size * stack, images.count, [&](std::size_t i) {
        return std::to_string(i / stack) + ", " + std::to_string(i % stack);
    });
    const StackedImages source{images, indices, stack, choose_interleave3(instruction_set),
                               Binarizer(binarize, instruction_set)};
    gather_from(source, batch_size, levels, padding, instruction_set, threads, out);
}

}  // namespace kgan
