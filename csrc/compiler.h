// What a compiler gives beyond C++17, all in one place.
//
// Only GCC and Clang give it. Any other compiler, such as MSVC, takes the portable code, which is
// all that it needs. -DKGAN_PORTABLE=ON has CMake build so with every compiler, for tests of that.
#pragma once

#if defined(__GNUC__) && !defined(KGAN_PORTABLE)
#define KGAN_ALWAYS_INLINE [[gnu::always_inline]]
// Asks for the cache line of `address`, to be read, into the second-level cache.
#define KGAN_PREFETCH(address) __builtin_prefetch((address), 0, 2)
#ifdef __x86_64__
#define KGAN_X86_64 1
// Has one function use instruction sets that the rest of its file may not.
#define KGAN_TARGET(sets) __attribute__((target(sets)))
#endif
#else
#define KGAN_ALWAYS_INLINE
#define KGAN_PREFETCH(address) static_cast<void>(address)
#endif
