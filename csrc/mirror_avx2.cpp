// Takes as many whole pixels as a vector of 16 bytes holds, from the end of the row. Each vector is
// read so that it ends with the last pixel that is left, and the rest of the row, which is less
// than a vector, is read from its start. So nothing outside the row is read, if it has 16 bytes.
#include "mirror.h"

#ifdef KGAN_X86_64
#include <immintrin.h>

namespace kgan {
namespace {

KGAN_TARGET("avx2")
inline void shuffle(const std::uint8_t* pixels, const std::uint8_t* order, std::uint8_t* out) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(pixels));
    const __m128i places = _mm_loadu_si128(reinterpret_cast<const __m128i*>(order));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm_shuffle_epi8(bytes, places));
}

}  // namespace

KGAN_TARGET("avx2")
void mirror_avx2(const std::uint8_t* pixels, const Rows& rows, std::size_t channels,
                 const MirrorTable& table, std::uint8_t* out) {
    const std::size_t turn = table.size();
    if (turn == 0 || rows.inside < kMirrorVector) {
        mirror_portable(pixels, rows, channels, table, out);
        return;
    }
    const std::uint8_t* last = table.last();
    for (std::size_t row = 0; row < rows.count; ++row, pixels += rows.stride) {
        zero_with_slack(rows.before, out);
        out += rows.before;
        std::size_t left = rows.inside;
        for (; left >= kMirrorVector; left -= turn, out += turn) {
            shuffle(pixels + left - kMirrorVector, last, out);
        }
        if (left != 0) shuffle(pixels, table.first(left), out);
        out += left;
        zero_with_slack(rows.after, out);
        out += rows.after;
    }
}

}  // namespace kgan
#endif
