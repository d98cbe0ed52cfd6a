// Every input has an allocation of exactly its size, so that a sanitizer finds reads beyond it.
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <vector>

#include "check.h"
#include "idx.h"

namespace {

using Bytes = std::vector<std::uint8_t>;

kgan::IdxHeader parse(const Bytes& bytes, std::size_t size) {
    const std::unique_ptr<std::uint8_t[]> exact(new std::uint8_t[size]);
    if (size != 0) std::memcpy(exact.get(), bytes.data(), size);
    return kgan::parse_idx_header(exact.get(), size);
}

kgan::IdxHeader parse(const Bytes& bytes) { return parse(bytes, bytes.size()); }

Bytes header(std::uint8_t code, const std::vector<std::uint32_t>& shape) {
    Bytes bytes{0, 0, code, static_cast<std::uint8_t>(shape.size())};
    for (const std::uint32_t size : shape) {
        for (int shift = 24; shift >= 0; shift -= 8) {
            bytes.push_back(static_cast<std::uint8_t>(size >> shift));
        }
    }
    return bytes;
}

void test_types() {
    const struct {
        std::uint8_t code;
        char kind;
        std::size_t size;
    } types[] = {{8, 'u', 1}, {9, 'i', 1}, {11, 'i', 2}, {12, 'i', 4}, {13, 'f', 4}, {14, 'f', 8}};
    for (const auto& type : types) {
        const kgan::IdxHeader parsed = parse(header(type.code, {3, 2}));
        CHECK(parsed.kind == type.kind);
        CHECK(parsed.item_size == type.size);
        CHECK(parsed.payload_size == 6 * type.size);
        CHECK(parsed.offset == 12);
    }
    int known = 0;
    for (int code = 0; code < 256; ++code) {
        known += !check::throws_invalid_argument(
            [&] { parse(header(static_cast<std::uint8_t>(code), {1})); });
    }
    CHECK(known == 6);
}

void test_truncation_at_every_byte() {
    for (const std::size_t rank : std::initializer_list<std::size_t>{0, 1, 3, 255}) {
        const Bytes bytes = header(8, std::vector<std::uint32_t>(rank, 1));
        for (std::size_t size = 0; size < bytes.size(); ++size) CHECK_THROWS(parse(bytes, size));
        CHECK(parse(bytes).shape.size() == rank);
        CHECK(parse(bytes).offset == bytes.size());
    }
}

void test_magic() {
    for (const std::size_t position : {std::size_t{0}, std::size_t{1}}) {
        Bytes bytes = header(8, {1});
        bytes[position] = 1;
        CHECK_THROWS(parse(bytes));
    }
}

void test_overflow() {
    constexpr std::uint32_t most = 0xFFFFFFFF;
    CHECK(parse(header(8, {most})).payload_size == most);
    CHECK(parse(header(8, {0x7FFFFFFF, most})).payload_size == 0x7FFFFFFFull * most);
    CHECK_THROWS(parse(header(8, {most, most})));
    CHECK_THROWS(parse(header(14, {0x7FFFFFFF, most})));
    CHECK_THROWS(parse(header(8, {most, most, 0})));
    CHECK_THROWS(parse(header(8, std::vector<std::uint32_t>(255, most))));
    CHECK(parse(header(8, {0, most})).payload_size == 0);
    CHECK(parse(header(8, {})).payload_size == 1);
}

void test_file_size() {
    const kgan::IdxHeader parsed = parse(header(12, {2, 5}));
    kgan::check_idx_size(parsed, 52);
    for (std::uint64_t size = 0; size < 100; ++size) {
        if (size != 52) CHECK_THROWS(kgan::check_idx_size(parsed, size));
    }
    CHECK_THROWS(kgan::check_idx_size(parsed, ~std::uint64_t{0}));
}

}  // namespace

int main() {
    test_types();
    test_truncation_at_every_byte();
    test_magic();
    test_overflow();
    test_file_size();
    return check::result();
}
