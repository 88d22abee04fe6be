// A test runner in one page, so that testing the engine needs nothing but a compiler.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <vector>

namespace check {

struct Test {
    const char* room;
    const char* name;
    void (*run)();
};

inline std::vector<Test>& tests() {
    static std::vector<Test> all;
    return all;
}

struct Registration {
    Registration(const char* room, const char* name, void (*run)()) { tests().push_back({room, name, run}); }
};

inline void fail(const char* file, int line, const char* what) {
    std::fprintf(stderr, "%s:%d: %s\n", file, line, what);
    std::exit(1);
}

}  // namespace check

#define TEST(room, name)                                               \
    static void room##_##name();                                       \
    static const check::Registration registered_##room##_##name{#room, #name, &room##_##name}; \
    static void room##_##name()

#define CHECK(condition) ((condition) ? void() : check::fail(__FILE__, __LINE__, #condition))

#define CHECK_THROWS(expression, exception)                                            \
    do {                                                                               \
        bool has_thrown = false;                                                       \
        try {                                                                          \
            (void)(expression);                                                        \
        } catch (const exception&) {                                                   \
            has_thrown = true;                                                         \
        }                                                                              \
        if (!has_thrown) check::fail(__FILE__, __LINE__, #expression " did not throw"); \
    } while (false)
