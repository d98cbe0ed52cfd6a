// Any bytes are parsed as the format defines, or throw if they are not an IDX file. A simple parser
// here computes the expected result of both. Seeds: corpus/idx.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <optional>
#include <stdexcept>
#include <vector>

#include "idx.h"

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

struct Type {
    std::uint8_t code;
    char kind;
    std::size_t item_size;
};

constexpr Type kTypes[] = {{0x08, 'u', 1}, {0x09, 'i', 1}, {0x0B, 'i', 2},
                           {0x0C, 'i', 4}, {0x0D, 'f', 4}, {0x0E, 'f', 8}};

// The header at the start of the bytes, or nothing if there is none.
std::optional<kgan::IdxHeader> declared(const std::uint8_t* data, std::size_t size) {
    constexpr std::uint64_t limit = std::numeric_limits<std::int64_t>::max();
    if (size < 4 || data[0] != 0 || data[1] != 0) return std::nullopt;
    kgan::IdxHeader header{};
    for (const Type& type : kTypes) {
        if (type.code == data[2]) header.kind = type.kind, header.item_size = type.item_size;
    }
    header.offset = 4 + 4 * std::size_t{data[3]};
    if (header.item_size == 0 || size < header.offset) return std::nullopt;
    unsigned __int128 bytes = header.item_size;
    bool empty = false;
    for (std::size_t at = 4; at < header.offset; at += 4) {
        std::uint32_t dimension = 0;
        for (std::size_t i = 0; i < 4; ++i) dimension = dimension * 256 + data[at + i];
        header.shape.push_back(dimension);
        if (dimension == 0) empty = true;
        if (dimension != 0) bytes *= dimension;
        // At most 2^63 times 2^32, so the product was exact.
        if (bytes > limit) return std::nullopt;
    }
    header.payload_size = empty ? 0 : static_cast<std::uint64_t>(bytes);
    return header;
}

template <typename Function>
bool refuses(Function function) {
    try {
        function();
    } catch (const std::invalid_argument& error) {
        // Every message says what was received.
        require(std::strstr(error.what(), ". Received: ") != nullptr);
        return true;
    }
    return false;
}

void check_sizes(const kgan::IdxHeader& header, std::uint64_t size) {
    const std::uint64_t right = header.offset + header.payload_size;
    for (const std::uint64_t each :
         {size, right, right - 1, right + 1, std::uint64_t{0}, ~std::uint64_t{0}}) {
        require(refuses([&] { kgan::check_idx_size(header, each); }) == (each != right));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::optional<kgan::IdxHeader> expected = declared(data, size);
    kgan::IdxHeader header{};
    const bool refused = refuses([&] { header = kgan::parse_idx_header(data, size); });
    require(refused != expected.has_value());
    if (refused) return 0;
    require(header.kind == expected->kind && header.item_size == expected->item_size);
    require(header.shape == expected->shape && header.offset == expected->offset);
    require(header.payload_size == expected->payload_size);
    check_sizes(header, size);
    return 0;
}
