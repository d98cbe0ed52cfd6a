// Any bytes are a header or std::invalid_argument, and a header that is accepted is the one that
// the bytes hold. Seeds: corpus/idx. Run: fuzz_idx csrc/fuzz/corpus/idx -max_len=2048
#include <cstdint>
#include <cstdlib>
#include <stdexcept>

#include "idx.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        const kgan::IdxHeader header = kgan::parse_idx_header(data, size);
        if (header.offset > size || header.offset != 4 + 4 * header.shape.size()) std::abort();
        // The product again, in doubles, that round but do not overflow.
        double expected = static_cast<double>(header.item_size);
        for (const std::uint32_t dimension : header.shape) expected *= dimension;
        const auto received = static_cast<double>(header.payload_size);
        if (received < 0.999 * expected || received > 1.001 * expected) std::abort();
        kgan::check_idx_size(header, size);
        if (header.offset + header.payload_size != size) std::abort();
    } catch (const std::invalid_argument&) {
    }
    return 0;
}
