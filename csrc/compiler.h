// Compiler features beyond C++17.
//
// Only GCC and Clang have them. Other compilers, such as MSVC, build the portable code.
// -DKGAN_PORTABLE=ON makes CMake build the portable code with every compiler, to test it.
#pragma once

#if defined(__GNUC__) && !defined(KGAN_PORTABLE)
#define KGAN_ALWAYS_INLINE [[gnu::always_inline]]
// Prefetches the cache line of `address` into the second-level cache, for reading.
#define KGAN_PREFETCH(address) __builtin_prefetch((address), 0, 2)
#ifdef __x86_64__
#define KGAN_X86_64 1
// Lets one function use instruction sets that the rest of its file may not.
#define KGAN_TARGET(sets) __attribute__((target(sets)))
#endif
#else
#define KGAN_ALWAYS_INLINE
#define KGAN_PREFETCH(address) static_cast<void>(address)
#endif
