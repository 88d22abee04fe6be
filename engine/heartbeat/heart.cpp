#include "heart.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>

namespace openbell::heartbeat {

namespace {

constexpr int PRIORITY = 10;

int socket_open(int family) {
    return ::socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

}  // namespace

Heart::Heart(std::uint16_t partition, std::int32_t epoch, std::int32_t backend_pid, std::uint32_t interval_us)
    : interval_(std::clamp<std::uint32_t>(interval_us, 100, 1'000'000)) {
    beat_.partition = partition;
    beat_.epoch = epoch;
    beat_.backend_pid = backend_pid;
    sockets_[0] = socket_open(AF_INET);
    if (sockets_[0] < 0) throw std::system_error(errno, std::generic_category(), "the heart has no socket");
    sockets_[1] = socket_open(AF_INET6);  // a machine without IPv6 does without
    thread_ = std::thread(&Heart::run, this);
}

Heart::~Heart() {
    stop();
    for (const int descriptor : sockets_)
        if (descriptor >= 0) ::close(descriptor);
}

void Heart::stop() {
    is_stopping_.store(true, std::memory_order_relaxed);
    if (thread_.joinable()) thread_.join();
}

void Heart::send_to(const std::vector<std::pair<std::string, std::uint16_t>>& addresses) {
    if (addresses.size() > ADDRESSES_MAX) throw std::invalid_argument("a heart beats for at most 64 addresses");
    std::vector<Address> parsed;
    for (const auto& [host, port] : addresses) {
        Address address{};
        auto* four = reinterpret_cast<sockaddr_in*>(&address.storage);
        auto* six = reinterpret_cast<sockaddr_in6*>(&address.storage);
        if (::inet_pton(AF_INET, host.c_str(), &four->sin_addr) == 1) {
            four->sin_family = AF_INET;
            four->sin_port = htons(port);
            address.size = sizeof(sockaddr_in);
        } else if (::inet_pton(AF_INET6, host.c_str(), &six->sin6_addr) == 1) {
            six->sin6_family = AF_INET6;
            six->sin6_port = htons(port);
            address.size = sizeof(sockaddr_in6);
        } else {
            throw std::invalid_argument("not a numeric address: " + host);
        }
        parsed.push_back(address);
    }
    const std::lock_guard lock(mutex_);
    addresses_.swap(parsed);
}

void Heart::run() {
    sched_param priority{};
    priority.sched_priority = PRIORITY;
    is_realtime_ = ::pthread_setschedparam(::pthread_self(), SCHED_FIFO, &priority) == 0;
    using Clock = std::chrono::steady_clock;
    auto due = Clock::now();
    auto last = due;
    while (!is_stopping_.load(std::memory_order_relaxed)) {
        ++beat_.number;
        beat_.progress = progress_.load(std::memory_order_relaxed);
        beat_.is_busy = is_busy_.load(std::memory_order_relaxed);
        beat_.is_realtime = is_realtime_.load(std::memory_order_relaxed);
        send(beat_);
        due = std::max(due + interval_, Clock::now());  // what was missed is not sent in a burst
        std::this_thread::sleep_until(due);
        const auto now = Clock::now();
        const auto gap = std::chrono::duration_cast<std::chrono::microseconds>(now - last).count();
        last = now;
        gap_max_us_ = std::max(gap_max_us_.load(), static_cast<std::uint64_t>(gap));
    }
}

void Heart::send(const Beat& beat) {
    // The mutex is held by the interpreter's thread for a swap of pointers only.
    const std::lock_guard lock(mutex_);
    for (const Address& address : addresses_) {
        const int descriptor = sockets_[address.storage.ss_family == AF_INET ? 0 : 1];
        // A beat that cannot be sent is a beat not heard: judging that is the standby's business.
        const auto size = ::sendto(descriptor, &beat, sizeof beat, MSG_NOSIGNAL,
                                   reinterpret_cast<const sockaddr*>(&address.storage), address.size);
        if (size == static_cast<ssize_t>(sizeof beat)) sent_.fetch_add(1, std::memory_order_relaxed);
    }
}

}  // namespace openbell::heartbeat
