// The invariant that makes the inner loops free of checks: indices are compared with the count
// before the first write, and each image then reads and writes a fixed number of elements.
#include "batch.h"

#include <algorithm>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "rows.h"

namespace kgan {
namespace {

constexpr std::size_t kCacheLine = 64;
// A thread costs tens of microseconds to start: about what this many elements cost to convert.
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

// How far ahead of the conversion memory is asked for. Measured: three MNIST images ahead, into the
// second-level cache, makes random order as quick as sequential; one ahead is too late, and into
// the first level the requests stall the conversion instead of running beside it.
constexpr std::size_t kPrefetchDistance = 3072;

void prefetch_image(const std::uint8_t* pixels, std::size_t size) {
#ifdef __GNUC__
    // The hardware follows a long run by itself once it has begun.
    size = std::min(size, 2 * kPrefetchDistance);
    for (std::size_t i = 0; i < size; i += kCacheLine) __builtin_prefetch(pixels + i, 0, 2);
#endif
}

template <typename Value, typename Row>
void gather_range(const Images& images, const std::int64_t* indices, std::size_t first,
                  std::size_t last, const Levels& levels, const Padding& padding, Value low,
                  Row convert_row, Value* out) {
    const std::size_t row = images.width * images.channels;
    const std::size_t image_size = images.height * row;
    const std::size_t left = padding.left * images.channels;
    const std::size_t right = padding.right * images.channels;
    const std::size_t padded_row = left + row + right;
    const bool padded = padded_row != row || padding.top + padding.bottom != 0;
    const std::size_t out_size = (padding.top + images.height + padding.bottom) * padded_row;
    const std::size_t ahead =
        std::clamp<std::size_t>(kPrefetchDistance / std::max<std::size_t>(1, image_size), 1, 16);
    Value* values = out + first * out_size;
    for (std::size_t i = first; i < last; ++i) {
        const std::uint8_t* pixels =
            images.pixels + static_cast<std::size_t>(indices[i]) * image_size;
        if (ahead < last - i) {
            const auto next = static_cast<std::size_t>(indices[i + ahead]);
            prefetch_image(images.pixels + next * image_size, image_size);
        }
        if (!padded) {
            convert_row(pixels, values, image_size, levels);
            values += image_size;
            continue;
        }
        // Padding that lies between two rows' pixels is one run: a row's right, the next's left.
        values = std::fill_n(values, padding.top * padded_row + left, low);
        for (std::size_t y = 0; y < images.height; ++y) {
            convert_row(pixels + y * row, values, row, levels);
            const bool is_last = y + 1 == images.height;
            const std::size_t gap = right + (is_last ? padding.bottom * padded_row : left);
            values = std::fill_n(values + row, gap, low);
        }
    }
}

unsigned choose_threads(unsigned threads, std::size_t batch_size, std::size_t elements) {
    if (threads == 0) {
        // Asked once: the C library opens a file to answer.
        static const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
        const std::size_t useful = std::max<std::size_t>(1, elements / kElementsPerThread);
        threads =
            static_cast<unsigned>(std::min<std::size_t>({useful, cores, kMaxAutomaticThreads}));
    }
    return static_cast<unsigned>(
        std::min<std::size_t>(threads, std::max<std::size_t>(1, batch_size)));
}

// Calls work(first, last) over [0, size) in equal parts. Where the system has no thread to give,
// the calling thread does that part too.
template <typename Work>
void share(std::size_t size, unsigned threads, Work work) {
    std::vector<std::thread> helpers;
    helpers.reserve(threads);
    std::size_t first = 0;
    for (unsigned t = 1; t < threads; ++t) {
        const std::size_t last = size * t / threads;
        try {
            helpers.emplace_back(work, first, last);
        } catch (const std::system_error&) {
            work(first, last);
        }
        first = last;
    }
    work(first, size);
    for (std::thread& helper : helpers) helper.join();
}

void check_indices(const std::int64_t* indices, std::size_t batch_size, std::size_t count) {
    for (std::size_t i = 0; i < batch_size; ++i) {
        if (indices[i] >= 0 && static_cast<std::uint64_t>(indices[i]) < count) continue;
        std::ostringstream message;
        message << "indices must be at least 0 and below the number of images, " << count
                << ". Received: indices[" << i << "]=" << indices[i];
        throw std::invalid_argument(message.str());
    }
}

}  // namespace

std::vector<InstructionSet> instruction_sets() {
    std::vector<InstructionSet> sets{InstructionSet::portable};
#ifdef KGAN_X86_64
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        sets.push_back(InstructionSet::avx2);
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512vl")) {
            sets.push_back(InstructionSet::avx512);
        }
    }
#endif
    return sets;
}

void gather(const Images& images, const std::int64_t* indices, std::size_t batch_size,
            const Levels& levels, const Padding& padding, InstructionSet instruction_set,
            unsigned threads, void* out) {
    const std::vector<InstructionSet> sets = instruction_sets();
    if (std::find(sets.begin(), sets.end(), instruction_set) == sets.end()) {
        throw std::invalid_argument("this processor does not have the instruction set asked for");
    }
    check_indices(indices, batch_size, images.count);
    const std::size_t elements = batch_size * (padding.top + images.height + padding.bottom) *
                                 (padding.left + images.width + padding.right) * images.channels;
    threads = choose_threads(threads, batch_size, elements);
    if (levels.dtype() == DType::float32) {
        const ConvertRow convert_row = choose_row(instruction_set, levels);
        share(batch_size, threads, [&](std::size_t first, std::size_t last) {
            gather_range(images, indices, first, last, levels, padding, levels.values32()[0],
                         convert_row, static_cast<float*>(out));
        });
    } else {
        share(batch_size, threads, [&](std::size_t first, std::size_t last) {
            gather_range(images, indices, first, last, levels, padding, levels.bits16()[0],
                         convert_row_bits16, static_cast<std::uint16_t*>(out));
        });
    }
}

}  // namespace kgan
