// The IDX format's header: what an IDX file says that it holds, checked before anyone believes it.
//
// An IDX file is two zero bytes, a byte for the element type, a byte for the rank, the rank's
// dimensions as big-endian 32-bit counts, then the elements, big-endian, in C order.
//
// Nothing here allocates by what the file claims: a header is at most 1024 bytes, and sizes are
// compared as numbers before any caller may turn them into memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace kgan {

struct IdxHeader {
    char kind;                         // NumPy's letter: 'u', 'i' or 'f'
    std::size_t item_size;             // bytes in an element: 1, 2, 4 or 8
    std::vector<std::uint32_t> shape;  // empty for a single element
    std::size_t offset;                // bytes before the first element: 4 + 4 * rank
    std::uint64_t payload_size;        // bytes of elements: product(shape) * item_size
};

// 4 bytes, then 255 dimensions: no header is longer than this.
constexpr std::size_t kMaxIdxHeaderSize = 4 + 4 * 255;

// Reads the header at the start of `data`. `size` may be that of a whole file or of its first
// kMaxIdxHeaderSize bytes. Throws std::invalid_argument when the magic number or type is wrong, the
// dimensions are cut off, or the payload would be larger than any object can be (2^63 - 1 bytes,
// dimensions of 0 counted as 1, as NumPy does).
IdxHeader parse_idx_header(const std::uint8_t* data, std::size_t size);

// Throws std::invalid_argument unless a file of `file_size` bytes is exactly the header and its
// payload: neither cut off nor followed by anything.
void check_idx_size(const IdxHeader& header, std::uint64_t file_size);

}  // namespace kgan
