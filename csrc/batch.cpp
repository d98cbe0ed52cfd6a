// The inner loops need no checks. Before the first write, all indices are checked and the size of
// the batch is known not to overflow. Each image then reads and writes a fixed number of elements.
//
// Images are binarised, cropped, mirrored and stacked a few thousand bytes at a time, in the
// first-level cache. So one way to convert and pad serves all batches, and no prepared image is
// written to memory.
#include "batch.h"

#include <algorithm>
#include <cstring>
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
#include "mirror.h"
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

// Compilers turn this into vector code, which was measured to be five times as fast as a table.
void quantize_row(const std::uint8_t* pixels, std::uint8_t* values, std::size_t count,
                  const Levels& levels) {
    const unsigned number = levels.count();
    for (std::size_t i = 0; i < count; ++i) {
        values[i] = static_cast<std::uint8_t>(quantized(pixels[i], number));
    }
}

void copy_row(const std::uint8_t* pixels, std::uint8_t* values, std::size_t count,
              const Levels& /*levels*/) {
    std::memcpy(values, pixels, count);
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

Mirror choose_mirror([[maybe_unused]] InstructionSet set) {
#ifdef KGAN_X86_64
    if (set != InstructionSet::portable) return mirror_avx2;
#endif
    return mirror_portable;
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
static_assert(kMaxWindowChannels <= kPrepared);

// Where a thread prepares the bytes of an image.
struct Scratch {
    // A part of an image may be binarised from up to 7 bytes before it, the start of a word.
    alignas(kCacheLine) std::uint8_t binary[kPrepared + 8 * kMaxStack];
    alignas(kCacheLine) std::uint8_t window[kPrepared + kSlack];
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

// Writes up to kSlack bytes beyond the end.
inline void copy_with_slack(const std::uint8_t* from, std::size_t count, std::uint8_t* to) {
    if (count < kSlack) {
        for (std::size_t i = 0; i < count; ++i) to[i] = from[i];
        return;
    }
    for (std::size_t i = 0; i + kSlack <= count; i += kSlack) {
        std::memcpy(to + i, from + i, kSlack);
    }
    std::memcpy(to + count - kSlack, from + count - kSlack, kSlack);
}

void copy_rows(const std::uint8_t* pixels, const Rows& rows, std::uint8_t* out) {
    for (std::size_t row = 0; row < rows.count; ++row, pixels += rows.stride) {
        zero_with_slack(rows.before, out);
        out += rows.before;
        copy_with_slack(pixels, rows.inside, out);
        out += rows.inside;
        zero_with_slack(rows.after, out);
        out += rows.after;
    }
}

// A range of rows or columns of a padded image: padding, then `inside` of the image, then padding.
struct Overlap {
    std::size_t before;
    std::size_t start;  // the first in the image
    std::size_t inside;
    std::size_t after;
};

// The range [first, first + count), of an image of `size` that begins at `margin`.
Overlap overlap(std::size_t first, std::size_t count, std::size_t margin, std::size_t size) {
    const std::size_t before = first < margin ? std::min(count, margin - first) : 0;
    const std::size_t start = first < margin ? 0 : std::min(first - margin, size);
    const std::size_t inside = std::min(count - before, size - start);
    return {before, start, inside, count - before - inside};
}

// The sum, or the largest size if the sum overflows.
std::size_t bounded_sum(std::size_t a, std::size_t b, std::size_t c) {
    constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
    const std::size_t two = a > most - b ? most : a + b;
    return two > most - c ? most : two + c;
}

std::size_t padded_height(const Images& images, const Padding& padding) {
    return bounded_sum(padding.top, images.height, padding.bottom);
}

std::size_t padded_width(const Images& images, const Padding& padding) {
    return bounded_sum(padding.left, images.width, padding.right);
}

// Whole rows of a window, or a part of one.
struct Piece {
    std::size_t row;
    std::size_t column;
    std::size_t rows;
    std::size_t columns;

    std::size_t pixels() const { return rows * columns; }
};

// Makes the bytes of a window: cut out of the padded image, and perhaps mirrored.
class Cutter {
  public:
    // For `parts` windows that are prepared side by side. The window must have been checked.
    Cutter(const Images& images, const Padding& padding, const Window& window, std::size_t parts,
           const Binarizer& binarizer, InstructionSet set)
        : images_(images),
          padding_(padding),
          window_(window),
          spare_height_(padded_height(images, padding) - window.height),
          spare_width_(padded_width(images, padding) - window.width),
          binarizer_(binarizer),
          mirror_(choose_mirror(set)),
          table_(images.channels) {
        const std::size_t pixels = kPrepared / parts / std::max<std::size_t>(1, images.channels);
        const std::size_t row = std::max(window.width, images.width);
        piece_ = row <= pixels ? Piece{0, 0, pixels / row, window.width} : Piece{0, 0, 1, pixels};
    }

    std::size_t height() const { return window_.height; }
    std::size_t width() const { return window_.width; }

    // The largest piece that can be cut at once. It comes from a range of the image that can be
    // prepared at once.
    const Piece& largest_piece() const { return piece_; }

    // A piece of the window of image `row`, which begins at `image`: where it is, in `binary` or in
    // `out`. Needs room for 7 more bytes in `binary`, and kSlack more in `out`.
    const std::uint8_t* operator()(const std::uint8_t* image, std::size_t row, const Piece& piece,
                                   std::uint8_t* binary, std::uint8_t* out) const {
        const std::size_t columns = piece.columns;
        const Place place = place_of(window_, spare_height_, spare_width_, row);
        // The first column, before the window is mirrored.
        const std::size_t left =
            place.is_mirrored ? window_.width - columns - piece.column : piece.column;
        const Overlap x = overlap(place.left + left, columns, padding_.left, images_.width);
        const Overlap y = overlap(place.top + piece.row, piece.rows, padding_.top, images_.height);
        if (x.inside == 0 || y.inside == 0) {
            std::memset(out, 0, piece.pixels() * images_.channels);
            return out;
        }
        if (place.is_mirrored) prefetch_below(image, y.start + y.inside);
        const std::uint8_t* pixels = binarized(image, row, x, y, binary);
        const bool is_one_run =
            x.inside == columns && (columns == images_.width || piece.rows == 1);
        if (is_one_run && y.inside == piece.rows && !place.is_mirrored) return pixels;
        assemble(pixels, columns, x, y, place.is_mirrored, out);
        return out;
    }

  private:
    // The hardware does not prefetch rows that are read from their ends. So the rows from `row` on
    // are prefetched, as many as are cut at once, unless the image is short: then all of it was.
    KGAN_ALWAYS_INLINE inline void prefetch_below(const std::uint8_t* image,
                                                  std::size_t row) const {
        const std::size_t row_size = images_.width * images_.channels;
        const std::size_t size = images_.height * row_size;
        if (size <= 2 * kPrefetchDistance) return;
        const std::size_t begin = row * row_size;
        prefetch_image(image + begin, std::min(size - begin, kPrepared));
    }

    // The first pixel of the part of the image, binarised up to its last.
    const std::uint8_t* binarized(const std::uint8_t* image, std::size_t row, const Overlap& x,
                                  const Overlap& y, std::uint8_t* binary) const {
        const std::size_t begin = (y.start * images_.width + x.start) * images_.channels;
        if (!binarizer_.changes_pixels()) return image + begin;
        const std::size_t last_row = y.start + y.inside - 1;
        const std::size_t end = (last_row * images_.width + x.start + x.inside) * images_.channels;
        const std::size_t aligned = begin / 8 * 8;
        return binarizer_(image + aligned, row, aligned, end - aligned, binary) + begin % 8;
    }

    void assemble(const std::uint8_t* pixels, std::size_t columns, const Overlap& x,
                  const Overlap& y, bool is_mirrored, std::uint8_t* out) const {
        const std::size_t channels = images_.channels;
        const Rows rows{y.inside, (is_mirrored ? x.after : x.before) * channels,
                        x.inside * channels, (is_mirrored ? x.before : x.after) * channels,
                        images_.width * channels};
        const std::size_t row = columns * channels;
        std::memset(out, 0, y.before * row);
        out += y.before * row;
        if (is_mirrored) {
            mirror_(pixels, rows, channels, table_, out);
        } else {
            copy_rows(pixels, rows, out);
        }
        out += y.inside * row;
        std::memset(out, 0, y.after * row);
    }

    const Images& images_;
    const Padding& padding_;
    const Window& window_;
    std::size_t spare_height_;
    std::size_t spare_width_;
    Piece piece_{};
    Binarizer binarizer_;
    Mirror mirror_;
    MirrorTable table_;
};

// A batch whose images are images of the data set.
struct WholeImages {
    const Images& images;
    const std::int64_t* indices;
    Binarizer binarizer;

    std::size_t channels() const { return images.channels; }
    std::size_t part_count() const { return 1; }
    std::size_t part_size() const { return images.height * images.width * images.channels; }

    std::size_t row(std::size_t i, std::size_t /*number*/) const {
        return static_cast<std::size_t>(indices[i]);
    }

    // The memory that the i-th image of the batch is made of.
    const std::uint8_t* part(std::size_t i, std::size_t number) const {
        return images.pixels + row(i, number) * part_size();
    }

    // How many bytes of an image can be asked for at once: a multiple of 8, or all of them.
    std::size_t bytes_at_once() const {
        return binarizer.changes_pixels() ? kPrepared : part_size();
    }

    // Bytes [first, first + count) of the i-th image, which may be in `scratch`.
    const std::uint8_t* bytes(std::size_t i, std::size_t first, std::size_t count,
                              Scratch& scratch) const {
        return binarizer(part(i, 0) + first, row(i, 0), first, count, scratch.binary);
    }

    // The pixels of an image, from those of its parts: part(number).
    template <typename Part>
    const std::uint8_t* joined(std::size_t /*pixels*/, Scratch& /*scratch*/, Part part) const {
        return part(0);
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
    std::size_t bytes_at_once() const {
        return kPrepared / stack / kInterleavedPixels * kInterleavedPixels * stack;
    }

    const std::uint8_t* bytes(std::size_t i, std::size_t first, std::size_t count,
                              Scratch& scratch) const {
        const std::size_t first_pixel = first / stack;
        const std::size_t pixels = count / stack;
        return joined(pixels, scratch, [&](std::size_t c) {
            return binarizer(part(i, c) + first_pixel, row(i, c), first_pixel, pixels,
                             scratch.binary + c * pixels);
        });
    }

    // Interleaves the bytes that channel(c) returns, as many as `pixels`.
    template <typename Channel>
    const std::uint8_t* joined(std::size_t pixels, Scratch& scratch, Channel channel) const {
        std::uint8_t* out = scratch.interleaved;
        if (stack == 3) {
            const std::uint8_t* first = channel(0);
            const std::uint8_t* second = channel(1);
            interleave3(first, second, channel(2), pixels, out);
            return out;
        }
        for (std::size_t c = 0; c < stack; ++c) {
            const std::uint8_t* bytes = channel(c);
            for (std::size_t p = 0; p < pixels; ++p) out[p * stack + c] = bytes[p];
        }
        return out;
    }
};

// The windows of the images of a source. Each part of an image has its own.
template <typename Source>
struct WindowsOf {
    Source source;
    Cutter cutter;
    std::size_t room = kPrepared / source.part_count();  // bytes for each part

    std::size_t channels() const { return source.channels(); }
    std::size_t part_count() const { return source.part_count(); }
    std::size_t part_size() const { return source.part_size(); }

    const std::uint8_t* part(std::size_t i, std::size_t number) const {
        return source.part(i, number);
    }

    const std::uint8_t* bytes(std::size_t i, const Piece& piece, Scratch& scratch) const {
        const std::size_t pixels = piece.pixels();
        // Called in order: each part may write over the start of the next.
        return source.joined(pixels, scratch, [&](std::size_t number) {
            return cutter(part(i, number), source.row(i, number), piece,
                          scratch.binary + number * (room + 8), scratch.window + number * pixels);
        });
    }
};

std::size_t images_ahead(std::size_t image_size) {
    return std::clamp<std::size_t>(kPrefetchDistance / std::max<std::size_t>(1, image_size), 1, 16);
}

template <typename Source>
KGAN_ALWAYS_INLINE inline void prefetch_parts(const Source& source, std::size_t i) {
    for (std::size_t part = 0; part < source.part_count(); ++part) {
        prefetch_image(source.part(i, part), source.part_size());
    }
}

// Images [first, last) of a batch, from a source without windows.
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
    const std::size_t ahead = images_ahead(size);
    Scratch scratch;
    Value* values = out + first * out_size;
    if (size == 0) {
        std::fill_n(values, (last - first) * out_size, low);
        return;
    }
    for (std::size_t i = first; i < last; ++i) {
        if (ahead < last - i) prefetch_parts(source, i + ahead);
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

// The same from a source of windows, which hold their padding.
template <typename Source, typename Value, typename Row>
void gather_windows(const Source& source, std::size_t first, std::size_t last, const Levels& levels,
                    Row convert_row, Value* out) {
    const std::size_t height = source.cutter.height();
    const std::size_t width = source.cutter.width();
    const std::size_t channels = source.channels();
    if (channels == 0) return;  // such images may have very many rows
    const Piece& most = source.cutter.largest_piece();
    const std::size_t ahead = images_ahead(source.part_size() * source.part_count());
    Scratch scratch;
    Value* values = out + first * height * width * channels;
    for (std::size_t i = first; i < last; ++i) {
        if (ahead < last - i) prefetch_parts(source, i + ahead);
        for (std::size_t row = 0; row < height; row += most.rows) {
            for (std::size_t column = 0; column < width; column += most.columns) {
                const Piece piece{row, column, std::min(most.rows, height - row),
                                  std::min(most.columns, width - column)};
                const std::size_t count = piece.pixels() * channels;
                convert_row(source.bytes(i, piece, scratch), values, count, levels);
                values += count;
            }
        }
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

// Shares the images of a batch between threads: gather(first, last, convert_row, low, out) makes
// images [first, last). The indices and the shape must have been checked.
template <typename Gather>
void gather_shared(const BatchShape& shape, const Levels& levels, InstructionSet instruction_set,
                   unsigned threads, void* out, Gather gather) {
    threads = choose_threads(threads, shape.size,
                             shape.size * shape.height * shape.width * shape.channels);
    share(shape.size, threads, [&](std::size_t first, std::size_t last) {
        switch (levels.dtype()) {
            case DType::float32:
                gather(first, last, choose_row(instruction_set, levels), levels.values32()[0],
                       static_cast<float*>(out));
                break;
            case DType::uint8:
                gather(first, last, levels.count() == kMaxLevels ? copy_row : quantize_row,
                       std::uint8_t{0}, static_cast<std::uint8_t*>(out));
                break;
            default:
                gather(first, last, convert_row_bits16, levels.bits16()[0],
                       static_cast<std::uint16_t*>(out));
        }
    });
}

// Gathers from a source, or the windows that `cutter` cuts from it.
template <typename Source>
void gather_from(const Source& source, const BatchShape& shape, const Levels& levels,
                 const Padding& padding, const std::optional<Window>& window, InstructionSet set,
                 unsigned threads, void* out) {
    if (window) {
        const WindowsOf<Source> windows{source, Cutter(source.images, padding, *window,
                                                       source.part_count(), source.binarizer, set)};
        gather_shared(
            shape, levels, set, threads, out,
            [&](std::size_t first, std::size_t last, auto convert_row, auto /*low*/, auto* values) {
                gather_windows(windows, first, last, levels, convert_row, values);
            });
    } else {
        gather_shared(
            shape, levels, set, threads, out,
            [&](std::size_t first, std::size_t last, auto convert_row, auto low, auto* values) {
                gather_range(source, first, last, levels, padding, low, convert_row, values);
            });
    }
}

void check_window(const Window& window, const Images& images, std::size_t height,
                  std::size_t width) {
    constexpr auto limit = static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max());
    if (height > limit || width > limit) {
        std::ostringstream message;
        message << "the padded images would be too large: expected at most " << limit
                << " rows and columns. Received: " << height << " x " << width;
        throw std::invalid_argument(message.str());
    }
    if (window.height == 0 || window.height > height || window.width == 0 || window.width > width) {
        std::ostringstream message;
        message << "crop must be at least 1 x 1 pixels and at most the padded images, " << height
                << " x " << width << ". Received: " << window.height << " x " << window.width;
        throw std::invalid_argument(message.str());
    }
    if (images.channels > kMaxWindowChannels) {
        std::ostringstream message;
        message << "images to crop or flip must have at most " << kMaxWindowChannels
                << " channels. Received: " << images.channels;
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

Window window_of(std::int64_t height, std::int64_t width) {
    if (height < 1 || width < 1) {
        std::ostringstream message;
        message << "crop must be at least 1 x 1 pixels. Received: " << height << " x " << width;
        throw std::invalid_argument(message.str());
    }
    return {static_cast<std::size_t>(height), static_cast<std::size_t>(width)};
}

BatchShape batch_shape(const Images& images, std::size_t batch_size, std::size_t channels,
                       const Padding& padding, const std::optional<Window>& window, DType dtype) {
    constexpr auto limit = static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max());
    BatchShape shape{batch_size, padded_height(images, padding), padded_width(images, padding),
                     channels};
    if (window) {
        check_window(*window, images, shape.height, shape.width);
        shape.height = window->height;
        shape.width = window->width;
    }
    // No product overflows: each factor is compared with the divided limit first.
    std::size_t bytes = item_size(dtype);
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
            const std::optional<Window>& window, InstructionSet instruction_set, unsigned threads,
            void* out) {
    check_instruction_set(instruction_set);
    check_indices(indices, batch_size, images.count, [](std::size_t i) { return i; });
    const BatchShape shape =
        batch_shape(images, batch_size, images.channels, padding, window, levels.dtype());
    const WholeImages source{images, indices, Binarizer(binarize, instruction_set)};
    gather_from(source, shape, levels, padding, window, instruction_set, threads, out);
}

void gather_stacked(const Images& images, const std::int64_t* indices, std::size_t batch_size,
                    std::size_t stack, const Levels& levels, const Binarize& binarize,
                    const Padding& padding, const std::optional<Window>& window,
                    InstructionSet instruction_set, unsigned threads, void* out) {
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
    const BatchShape shape =
        batch_shape(images, batch_size, stack, padding, window, levels.dtype());
    const StackedImages source{images, indices, stack, choose_interleave3(instruction_set),
                               Binarizer(binarize, instruction_set)};
    gather_from(source, shape, levels, padding, window, instruction_set, threads, out);
}

}  // namespace kgan
