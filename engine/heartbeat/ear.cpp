#include "ear.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace openbell::heartbeat {

namespace {

[[noreturn]] void fail(const char* message) {
    throw std::system_error(errno, std::generic_category(), message);
}

int bound_open(const std::string& host, std::uint16_t port) {
    sockaddr_storage storage{};
    auto* four = reinterpret_cast<sockaddr_in*>(&storage);
    auto* six = reinterpret_cast<sockaddr_in6*>(&storage);
    socklen_t size = sizeof(sockaddr_in);
    if (::inet_pton(AF_INET, host.c_str(), &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
    } else if (::inet_pton(AF_INET6, host.c_str(), &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        size = sizeof(sockaddr_in6);
    } else {
        throw std::invalid_argument("not a numeric address: " + host);
    }
    const int descriptor = ::socket(storage.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) fail("the ear has no socket");
    if (::bind(descriptor, reinterpret_cast<const sockaddr*>(&storage), size) != 0) {
        const int error = errno;
        ::close(descriptor);
        errno = error;
        fail("the ear cannot have its port");
    }
    return descriptor;
}

std::uint16_t port_of(int descriptor) {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    if (::getsockname(descriptor, reinterpret_cast<sockaddr*>(&storage), &size) != 0) fail("the ear has no port");
    return ntohs(storage.ss_family == AF_INET ? reinterpret_cast<const sockaddr_in&>(storage).sin_port
                                              : reinterpret_cast<const sockaddr_in6&>(storage).sin6_port);
}

}  // namespace

Ear::Ear(std::uint16_t partition, const std::string& host, std::uint16_t port)
    : partition_(partition), descriptor_(bound_open(host, port)), heard_at_(Clock::now()), moved_at_(heard_at_) {
    port_ = port_of(descriptor_);
}

Ear::~Ear() { ::close(descriptor_); }

std::chrono::microseconds Ear::since(Clock::time_point instant) {
    return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - instant);
}

bool Ear::listen(std::chrono::microseconds timeout, std::chrono::microseconds silence) {
    const auto until = Clock::now() + timeout;
    while (true) {
        drain();
        const auto now = Clock::now();
        const bool is_silent = !last_.has_value() || now - heard_at_ > silence;
        if (now >= until) return is_silent;
        if (last_.has_value() && is_silent) return true;
        const auto next = last_.has_value() ? std::min(until, heard_at_ + silence) : until;
        const auto wait = std::max(std::chrono::duration_cast<std::chrono::microseconds>(next - now),
                                   std::chrono::microseconds(50));
        const timespec time{wait.count() / 1'000'000, wait.count() % 1'000'000 * 1'000};
        pollfd poll{descriptor_, POLLIN, 0};
        ::ppoll(&poll, 1, &time, nullptr);
    }
}

void Ear::drain() {
    Beat beat;
    while (true) {
        const auto size = ::recv(descriptor_, &beat, sizeof beat, MSG_TRUNC);
        if (size < 0) {
            if (errno == EINTR) continue;
            return;
        }
        if (size == static_cast<ssize_t>(sizeof beat)) take(beat, Clock::now());
    }
}

void Ear::take(const Beat& beat, Clock::time_point now) {
    if (beat.magic != MAGIC || beat.version != VERSION || beat.partition != partition_) return;
    if (last_.has_value() && beat.epoch < last_->epoch) return;  // a leader that leads no more
    const bool is_same = last_.has_value() && beat.epoch == last_->epoch && beat.progress == last_->progress &&
                         beat.is_busy == last_->is_busy;
    if (!is_same) moved_at_ = now;
    last_ = beat;
    heard_at_ = now;
}

}  // namespace openbell::heartbeat
