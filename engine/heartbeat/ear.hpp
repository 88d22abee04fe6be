// The standby's ear: it empties its socket before it says that it hears nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "beat.hpp"

namespace openbell::heartbeat {

class Ear {
public:
    using Clock = std::chrono::steady_clock;

    // Binds a numeric address; port 0 takes a free one. Throws std::system_error when it cannot be had.
    Ear(std::uint16_t partition, const std::string& host, std::uint16_t port);
    ~Ear();
    Ear(const Ear&) = delete;
    Ear& operator=(const Ear&) = delete;

    std::uint16_t port() const { return port_; }
    // Takes in what arrives until the time is over or, sooner, until nothing came for `silence`; returns whether
    // it is silent. Before the first beat it is.
    bool listen(std::chrono::microseconds timeout, std::chrono::microseconds silence);
    // The newest beat of the highest epoch heard.
    const std::optional<Beat>& last() const { return last_; }
    // Since that beat was taken from the socket, and since its progress last changed or it was last idle or busy.
    std::chrono::microseconds silent_for() const { return since(heard_at_); }
    std::chrono::microseconds still_for() const { return since(moved_at_); }

private:
    static std::chrono::microseconds since(Clock::time_point instant);
    void drain();
    void take(const Beat& beat, Clock::time_point now);

    std::uint16_t partition_;
    std::uint16_t port_ = 0;
    int descriptor_ = -1;
    std::optional<Beat> last_;
    Clock::time_point heard_at_;
    Clock::time_point moved_at_;
};

}  // namespace openbell::heartbeat
