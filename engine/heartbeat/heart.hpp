// The leader's heart: a thread that sends a datagram every interval and never waits for the interpreter.
#pragma once

#include <netinet/in.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "beat.hpp"

namespace openbell::heartbeat {

class Heart {
public:
    static constexpr std::size_t ADDRESSES_MAX = 64;

    // Throws std::system_error when no socket can be had.
    Heart(std::uint16_t partition, std::int32_t epoch, std::int32_t backend_pid, std::uint32_t interval_us);
    ~Heart();
    Heart(const Heart&) = delete;
    Heart& operator=(const Heart&) = delete;

    void tick() { progress_.fetch_add(1, std::memory_order_relaxed); }
    void busy(bool is_busy) { is_busy_.store(is_busy, std::memory_order_relaxed); }
    // Numeric IPv4 or IPv6 addresses; std::invalid_argument for anything else, and nothing changes.
    void send_to(const std::vector<std::pair<std::string, std::uint16_t>>& addresses);
    bool is_realtime() const { return is_realtime_.load(std::memory_order_relaxed); }
    std::uint64_t sent() const { return sent_.load(std::memory_order_relaxed); }
    // The longest time between two turns of the thread: what the standby's patience must exceed.
    std::uint64_t gap_max_us() const { return gap_max_us_.load(std::memory_order_relaxed); }
    void stop();

private:
    struct Address {
        sockaddr_storage storage;
        socklen_t size;
    };

    void run();
    void send(const Beat& beat);

    Beat beat_;
    std::chrono::microseconds interval_;
    int sockets_[2] = {-1, -1};  // IPv4 and IPv6
    std::atomic<std::uint64_t> progress_{0};
    std::atomic<std::uint64_t> sent_{0};
    std::atomic<std::uint64_t> gap_max_us_{0};
    std::atomic<bool> is_busy_{false};
    std::atomic<bool> is_realtime_{false};
    std::atomic<bool> is_stopping_{false};
    std::mutex mutex_;  // guards addresses_
    std::vector<Address> addresses_;
    std::thread thread_;
};

}  // namespace openbell::heartbeat
