// No byte is read before its position is compared with `size`, and no product is taken before it is
// compared with the limit. Any input gives a value or std::invalid_argument;
// csrc/fuzz/fuzz_idx.cpp tests that.
#include "idx.h"

#include <limits>
#include <sstream>
#include <stdexcept>
#include <string>

namespace kgan {
namespace {

[[noreturn]] void fail(const std::ostringstream& message) {
    throw std::invalid_argument(message.str());
}

std::string hexadecimal(const std::uint8_t* data, std::size_t size) {
    static const char digits[] = "0123456789abcdef";
    std::string text;
    for (std::size_t i = 0; i < size; ++i) {
        if (i != 0) text += ' ';
        text += digits[data[i] >> 4];
        text += digits[data[i] & 15];
    }
    return text;
}

void set_type(IdxHeader& header, std::uint8_t code) {
    switch (code) {
        case 0x08:
            header.kind = 'u', header.item_size = 1;
            return;
        case 0x09:
            header.kind = 'i', header.item_size = 1;
            return;
        case 0x0B:
            header.kind = 'i', header.item_size = 2;
            return;
        case 0x0C:
            header.kind = 'i', header.item_size = 4;
            return;
        case 0x0D:
            header.kind = 'f', header.item_size = 4;
            return;
        case 0x0E:
            header.kind = 'f', header.item_size = 8;
            return;
        default:
            break;
    }
    std::ostringstream message;
    message << "unknown IDX element type: expected 08 (uint8), 09 (int8), 0b (int16), 0c (int32), "
               "0d (float32) or 0e (float64) as the third byte. Received: "
            << hexadecimal(&code, 1);
    fail(message);
}

std::uint32_t read_big_endian(const std::uint8_t* data) {
    return (std::uint32_t{data[0]} << 24) | (std::uint32_t{data[1]} << 16) |
           (std::uint32_t{data[2]} << 8) | std::uint32_t{data[3]};
}

std::uint64_t payload_size(const IdxHeader& header) {
    constexpr auto limit = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    std::uint64_t bytes = header.item_size;
    bool empty = false;
    for (const std::uint32_t dimension : header.shape) {
        if (dimension == 0) {
            empty = true;
        } else if (bytes > limit / dimension) {
            std::ostringstream message;
            message << "the IDX dimensions overflow: expected at most " << limit
                    << " bytes of elements. Received: dimensions";
            for (const std::uint32_t each : header.shape) message << ' ' << each;
            fail(message);
        } else {
            bytes *= dimension;
        }
    }
    return empty ? 0 : bytes;
}

}  // namespace

IdxHeader parse_idx_header(const std::uint8_t* data, std::size_t size) {
    std::ostringstream message;
    if (size < 4) {
        message << "truncated IDX header: expected at least 4 bytes. Received: " << size;
        fail(message);
    }
    if (data[0] != 0 || data[1] != 0) {
        message << "not an IDX file: expected it to begin with two zero bytes. Received: "
                << hexadecimal(data, 4);
        fail(message);
    }
    IdxHeader header{};
    set_type(header, data[2]);
    const std::size_t rank = data[3];
    header.offset = 4 + 4 * rank;
    if (size < header.offset) {
        message << "truncated IDX header: expected " << header.offset << " bytes for rank " << rank
                << ". Received: " << size;
        fail(message);
    }
    header.shape.reserve(rank);
    for (std::size_t axis = 0; axis < rank; ++axis) {
        header.shape.push_back(read_big_endian(data + 4 + 4 * axis));
    }
    header.payload_size = payload_size(header);
    return header;
}

void check_idx_size(const IdxHeader& header, std::uint64_t file_size) {
    // No overflow: payload_size is below 2^63 and offset at most 1024.
    const std::uint64_t expected = header.offset + header.payload_size;
    if (file_size == expected) return;
    std::ostringstream message;
    message << (file_size < expected ? "truncated IDX data" : "trailing bytes after the IDX data")
            << ": expected " << expected << " bytes (a header of " << header.offset << " and "
            << header.payload_size << " of elements). Received: " << file_size;
    fail(message);
}

}  // namespace kgan
