// Parses and checks the header of an IDX file.
//
// An IDX file has two zero bytes, a byte for the element type, a byte for the rank, the dimensions
// as big-endian 32-bit counts, and then the elements, big-endian, in C order.
//
// A file can claim any size, so no memory is allocated by its claim: a header has at most 1024
// bytes, and the declared size is compared with the real one as a number.
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

// The longest header: 4 bytes and 255 dimensions.
constexpr std::size_t kMaxIdxHeaderSize = 4 + 4 * 255;

// Reads the header at the start of `data`, which may be a whole file or its first kMaxIdxHeaderSize
// bytes. Throws std::invalid_argument if the magic number or type is wrong, dimensions are missing,
// or the payload would be larger than an object can be: 2^63 - 1 bytes, with dimensions of 0
// counted as 1, as in NumPy.
IdxHeader parse_idx_header(const std::uint8_t* data, std::size_t size);

// Throws std::invalid_argument unless a file of `file_size` bytes holds exactly the header and its
// payload.
void check_idx_size(const IdxHeader& header, std::uint64_t file_size);

}  // namespace kgan
