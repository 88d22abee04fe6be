// How time is taken: one core, the process's own time, medians of several rounds.
#pragma once

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <stdexcept>
#include <vector>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace bench {

inline constexpr int ROUNDS = 7;

// The last core this process may use: interrupts prefer the first.
inline std::size_t core_pin() {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) throw std::runtime_error("no core is known to be allowed");
    std::size_t core = CPU_SETSIZE - 1;
    while (core > 0 && !CPU_ISSET(core, &allowed)) --core;
    CPU_ZERO(&allowed);
    CPU_SET(core, &allowed);
    if (sched_setaffinity(0, sizeof allowed, &allowed) != 0) throw std::runtime_error("cannot be pinned to a core");
    return core;
}

// What this process has used, so that others on the machine count as little as they can.
inline double cpu_seconds() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// A clock whose reading costs a few nanoseconds; in its own ticks. It waits for what came before to be done.
inline std::uint64_t ticks_now() {
#if defined(__x86_64__)
    unsigned core = 0;
    return __rdtscp(&core);
#else
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}

inline double nanoseconds_per_tick() {
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    const std::uint64_t ticks = ticks_now();
    while (Clock::now() - start < std::chrono::milliseconds(50)) {
    }
    const std::chrono::duration<double, std::nano> elapsed = Clock::now() - start;
    return elapsed.count() / static_cast<double>(ticks_now() - ticks);
}

inline double median(std::vector<double> values) {
    std::ranges::sort(values);
    return values[values.size() / 2];
}

// Pages this process holds in memory.
inline double resident_bytes() {
    std::FILE* file = std::fopen("/proc/self/statm", "r");
    if (file == nullptr) throw std::runtime_error("/proc/self/statm cannot be read");
    unsigned long long size = 0;
    unsigned long long resident = 0;
    const int read = std::fscanf(file, "%llu %llu", &size, &resident);
    std::fclose(file);
    if (read != 2) throw std::runtime_error("/proc/self/statm cannot be understood");
    return static_cast<double>(resident) * 4096;
}

}  // namespace bench
