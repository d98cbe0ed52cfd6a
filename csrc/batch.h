// Makes a training batch in one pass over memory: images picked by index, binarised, padded,
// cropped, mirrored and normalised or quantised.
//
// NumPy takes three passes over memory: gather bytes, cast, scale. Here every pixel is read once
// and its value, a float or a byte, is written once. The order of the images is random, so the
// hardware cannot predict it: the next images are prefetched while one is converted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "binarize.h"
#include "levels.h"
#include "window.h"

namespace kgan {

enum class InstructionSet { portable, avx2, avx512 };

// The instruction sets of this processor, slowest first. `portable` is always one of them.
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
// an odd row or column after. Throws std::invalid_argument if the images are larger.
Padding padding_to(const Images& images, std::int64_t height, std::int64_t width);

// A window of that size, in the centre. Throws std::invalid_argument if it is not at least 1 x 1.
Window window_of(std::int64_t height, std::int64_t width);

// The most channels of images of which windows are cut.
constexpr std::size_t kMaxWindowChannels = 4096;

// The shape of `out` of a gather: (size, height, width, channels) values, C order.
struct BatchShape {
    std::size_t size;
    std::size_t height;
    std::size_t width;
    std::size_t channels;
};

// The shape of a batch of `batch_size` images of `channels` channels: with `padding` around them,
// or of the window of such images. Throws std::invalid_argument if it would take more bytes than an
// object can have: 2^63 - 1, with dimensions of 0 counted as 1, as in NumPy. So no size or stride
// of a batch can overflow. Also throws if the window is empty or larger than the padded images,
// these have 2^63 rows or columns, or `images` have more than kMaxWindowChannels.
BatchShape batch_shape(const Images& images, std::size_t batch_size, std::size_t channels,
                       const Padding& padding, const std::optional<Window>& window, DType dtype);

// Writes images[indices[i]], binarised, padded, cut to its window and normalised, to the i-th place
// of `out`, which has the shape of batch_shape and the dtype of `levels`. `threads` threads share
// the work; with 0, the size of the batch decides. Padding has level 0 and is not binarised. Pixels
// are binarised by their position in the image, so windows do not change their draws.
//
// Throws std::invalid_argument before it writes anything if an index is outside [0, images.count),
// this processor lacks `instruction_set`, or batch_shape throws.
void gather(const Images& images, const std::int64_t* indices, std::size_t batch_size,
            const Levels& levels, const Binarize& binarize, const Padding& padding,
            const std::optional<Window>& window, InstructionSet instruction_set, unsigned threads,
            void* out);

constexpr std::size_t kMaxStack = 64;

// Like gather, but each image of the batch is a stack of `stack` images of one channel: its channel
// c is images[indices[i * stack + c]], which has its own window. Also throws unless `images` have
// one channel and `stack` is from 1 to kMaxStack.
void gather_stacked(const Images& images, const std::int64_t* indices, std::size_t batch_size,
                    std::size_t stack, const Levels& levels, const Binarize& binarize,
                    const Padding& padding, const std::optional<Window>& window,
                    InstructionSet instruction_set, unsigned threads, void* out);

}  // namespace kgan
