// A training batch in one pass over memory: rows picked by index, normalised, padded.
//
// NumPy does this in three passes (gather bytes, cast, scale), each through memory. Here every
// pixel is read once and its float written once; the rows to come are fetched from memory while
// the row at hand is converted, since their order is random and no hardware can guess it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "binarize.h"
#include "levels.h"

namespace kgan {

enum class InstructionSet { portable, avx2, avx512 };

// What this processor can run, slowest first; `portable` is always there.
std::vector<InstructionSet> instruction_sets();

struct Images {
    const std::uint8_t* pixels;  // (count, height, width, channels), C order
    std::size_t count;
    std::size_t height;
    std::size_t width;
    std::size_t channels;
};

// Pixels of level 0 around each image.
struct Padding {
    std::size_t top;
    std::size_t bottom;
    std::size_t left;
    std::size_t right;
};

// The padding that makes images `height` high and `width` wide: half of it before and half after,
// an odd row or column after. Throws std::invalid_argument where that would be less than they are.
Padding padding_to(const Images& images, std::int64_t height, std::int64_t width);

// What `out` of a gather holds: (size, height, width, channels) values, C order.
struct BatchShape {
    std::size_t size;
    std::size_t height;
    std::size_t width;
    std::size_t channels;
};

// The shape of a batch of `batch_size` images of `channels` channels with `padding` around them.
// Throws std::invalid_argument where it would take more bytes of `dtype` than any object can have
// (2^63 - 1, dimensions of 0 counted as 1, as NumPy does), so that sizes and strides of every batch
// that has a shape can be worked out without a thought of overflow.
BatchShape batch_shape(const Images& images, std::size_t batch_size, std::size_t channels,
                       const Padding& padding, DType dtype);

// Writes images[indices[i]], normalised and padded, to the i-th place of `out`, which holds the
// values of batch_shape, of the dtype of `levels`. `threads` is how many threads share the work: 0
// lets the size decide.
// Throws std::invalid_argument, before anything is written, when an index is outside
// [0, images.count), this processor lacks `instruction_set`, or the batch has no shape.
void gather(const Images& images, const std::int64_t* indices, std::size_t batch_size,
            const Levels& levels, const Binarize& binarize, const Padding& padding,
            InstructionSet instruction_set, unsigned threads, void* out);

constexpr std::size_t kMaxStack = 64;

// As gather, but each image of the batch is a stack of `stack` images of one channel: its channel c
// is images[indices[i * stack + c]]. Throws also unless `images` have one channel and `stack` is
// from 1 to kMaxStack.
void gather_stacked(const Images& images, const std::int64_t* indices, std::size_t batch_size,
                    std::size_t stack, const Levels& levels, const Binarize& binarize,
                    const Padding& padding, InstructionSet instruction_set, unsigned threads,
                    void* out);

}  // namespace kgan
