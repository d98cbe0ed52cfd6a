// Gathers for which each allocation in turn fails. They throw before they start a thread, or make
// the batch with the threads that they have. This is a separate program because it replaces
// operator new.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <new>
#include <vector>

#include "batch.h"
#include "check.h"

namespace {

constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max();

// How many more allocations of the running thread succeed.
thread_local std::size_t allocations_left = kUnlimited;

}  // namespace

void* operator new(std::size_t size) {
    if (allocations_left == 0) throw std::bad_alloc();
    --allocations_left;
    if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
    throw std::bad_alloc();
}

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

using namespace kgan;

void test_no_memory() {
    constexpr std::size_t count = 10;
    constexpr std::size_t size = 24;
    const Levels levels(0, 255, DType::float32);
    std::vector<std::uint8_t> pixels;
    std::vector<std::int64_t> indices;
    std::vector<float> expected;
    for (std::size_t i = 0; i < count * size; ++i) pixels.push_back(static_cast<std::uint8_t>(i));
    for (std::size_t i = count; i-- != 0;) {
        indices.push_back(static_cast<std::int64_t>(i));
        for (std::size_t p = 0; p < size; ++p) expected.push_back(pixels[i * size + p]);
    }
    const Images images{pixels.data(), count, 4, 6, 1};
    const std::vector<float> untouched(count * size, -7.0f);

    int refused = 0;
    int made_with_fewer = 0;
    for (std::size_t allowed = 0; allowed < 20; ++allowed) {
        std::vector<float> out = untouched;
        bool threw = false;
        allocations_left = allowed;
        try {
            gather(images, indices.data(), count, levels, {}, {}, {}, InstructionSet::portable, 5,
                   out.data());
        } catch (const std::bad_alloc&) {
            threw = true;
        }
        const bool ran_out = allocations_left == 0;
        allocations_left = kUnlimited;
        CHECK(out == (threw ? untouched : expected));
        refused += threw;
        made_with_fewer += !threw && ran_out;
    }
    CHECK(refused > 0);
    CHECK(made_with_fewer > 1);
    CHECK(refused + made_with_fewer < 20);
}

}  // namespace

int main() {
    test_no_memory();
    return check::result();
}
