// Random words from a counter, not from a state. So a draw depends on the key, the row of an image
// and the number of the draw alone. Batches, threads and instruction sets do not change it.
//
// All arithmetic is modulo 2^64:
//
//   row_key(key, row)  = mix(key + (row + 1) * kStep)
//   word(row_key, n)   = mix(row_key + (n + 1) * kStep)
//
// This is SplitMix64 (Steele, Lea and Flood, 2014): `mix` is its finaliser and `kStep` its
// increment. It passes the usual statistical tests and takes two multiplications; Philox4x32-10
// takes ten for as many bits. `mix` is a bijection, so the words of a row differ.
#pragma once

#include <cstdint>

namespace kgan {

constexpr std::uint64_t kStep = 0x9E3779B97F4A7C15u;
constexpr std::uint64_t kMix1 = 0xBF58476D1CE4E5B9u;
constexpr std::uint64_t kMix2 = 0x94D049BB133111EBu;

constexpr std::uint64_t mix(std::uint64_t z) {
    z = (z ^ (z >> 30)) * kMix1;
    z = (z ^ (z >> 27)) * kMix2;
    return z ^ (z >> 31);
}

constexpr std::uint64_t row_key(std::uint64_t key, std::uint64_t row) {
    return mix(key + (row + 1) * kStep);
}

constexpr std::uint64_t word(std::uint64_t row_key, std::uint64_t number) {
    return mix(row_key + (number + 1) * kStep);
}

}  // namespace kgan
