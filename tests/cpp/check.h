// A minimal test framework: a check that reports a failure and continues.
#pragma once

#include <cstdio>
#include <stdexcept>

namespace check {
inline int failures = 0;
inline int checks = 0;

inline void that(bool ok, const char* expression, const char* file, int line) {
    ++checks;
    if (ok) return;
    ++failures;
    std::fprintf(stderr, "%s:%d: failed: %s\n", file, line, expression);
}

template <typename Function>
bool throws_invalid_argument(Function function) {
    try {
        function();
    } catch (const std::invalid_argument&) {
        return true;
    }
    return false;
}

// The exit status of main. A test without any check fails too.
inline int result() {
    std::printf("%d checks, %d failures\n", checks, failures);
    return failures == 0 && checks > 0 ? 0 : 1;
}
}  // namespace check

#define CHECK(expression) check::that((expression), #expression, __FILE__, __LINE__)
#define CHECK_THROWS(statement) CHECK(check::throws_invalid_argument([&] { statement; }))
