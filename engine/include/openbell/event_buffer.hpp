// Where a batch's events are written, numbered within their command.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>

#include "openbell/messages.hpp"

namespace openbell {

class EventBuffer {
public:
    EventBuffer() : events_(std::make_unique_for_overwrite<Event[]>(COUNT_MIN)) { room_note(COUNT_MIN); }

    void batch_begin() { next_ = events_.get(); }

    // A command some of whose events may be there already.
    void command_begin(const Command& command, std::uint32_t n = 0) {
        command_first_ = next_ - n;
        seq_ = command.seq;
        symbol_id_ = command.symbol_id;
        transact_time_ns_ = command.transact_time_ns;
    }
    std::int64_t transact_time_ns() const { return transact_time_ns_; }

    Event& event_push(ExecType exec_type) {
        Event& event = event_next();
        event = Event{};
        event.seq = seq_;
        event.symbol_id = symbol_id_;
        event.n = static_cast<std::uint32_t>(&event - command_first_);
        event.exec_type = byte_of(exec_type);
        event.ord_status = byte_of(OrdStatus::NONE);
        event.contra_ord_status = byte_of(OrdStatus::NONE);
        return event;
    }

    // Room for one more event, all of which the caller writes.
    Event& event_next() {
        if (next_ == end_) [[unlikely]] grow();
        return *next_++;
    }

    std::span<const Event> events() const { return {events_.get(), next_}; }

private:
    static constexpr std::size_t COUNT_MIN = 4'096;

    // By doubling, while warming up. An order is good for a bounded number of events (RULES.md), so the batch and the
    // pool bound the size.
    [[gnu::noinline, gnu::cold]] void grow() {
        const auto count = static_cast<std::size_t>(next_ - events_.get());
        const auto command_first = static_cast<std::size_t>(command_first_ - events_.get());
        std::unique_ptr<Event[]> larger = std::make_unique_for_overwrite<Event[]>(count * 2);
        std::memcpy(larger.get(), events_.get(), count * sizeof(Event));
        events_ = std::move(larger);
        room_note(count * 2);
        next_ = events_.get() + count;
        command_first_ = events_.get() + command_first;
    }

    void room_note(std::size_t count) {
        next_ = command_first_ = events_.get();
        end_ = events_.get() + count;
    }

    std::unique_ptr<Event[]> events_;
    Event* next_ = nullptr;
    Event* end_ = nullptr;
    Event* command_first_ = nullptr;
    std::uint64_t seq_ = 0;
    std::uint32_t symbol_id_ = 0;
    std::int64_t transact_time_ns_ = 0;
};

}  // namespace openbell
