// Fetching from memory what the commands to come will look at, so that it is there when their turn comes. It changes
// nothing but the time they take. All of it is inlined whatever the compiler thinks: a call that does nothing but fetch
// is one it leaves out.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "openbell/matching_engine.hpp"

namespace openbell {

// How many commands ahead each step is taken: the record, its order's entry in the index, the order, its neighbours;
// and the level of a new order's price.
inline constexpr std::size_t RECORD_DISTANCE = 30;
inline constexpr std::size_t ENTRY_DISTANCE = 20;
inline constexpr std::size_t ORDER_DISTANCE = 12;
inline constexpr std::size_t NEIGHBOUR_DISTANCE = 5;
inline constexpr std::size_t LEVEL_DISTANCE = 2;
// With more books than this they are fetched ahead as well.
inline constexpr std::size_t BOOKS_CACHED = 64;

static_assert(ORDER_DISTANCE < SlotsAhead::COUNT);

// The records come from somewhere else's memory, and two to three lines apart.
[[gnu::always_inline]] inline void record_prefetch(const Command* commands, std::size_t at) {
    const auto ahead = reinterpret_cast<std::uintptr_t>(commands) + (at + RECORD_DISTANCE) * sizeof(Command);
    __builtin_prefetch(reinterpret_cast<const void*>(ahead));
    __builtin_prefetch(reinterpret_cast<const void*>(ahead + 64));
}

// The id whose entry in the index a command looks at: that of the order it is about, or else its own.
[[gnu::always_inline]] inline std::uint64_t id_looked_at(const Command& command) {
    // Both are read and no branch is taken: which it is cannot be predicted.
    const std::uint64_t own_mask = command.orig_order_id == 0 ? ~std::uint64_t{0} : 0;
    return command.orig_order_id | (command.order_id & own_mask);
}

// Three steps on the way to an order. A new one leads to slot 0, which is nobody's: asking first whether it is new
// would cost more than fetching that.
[[gnu::always_inline]] inline void MatchingEngine::entry_prefetch(const Command& command) const {
    stores_.index.entry_prefetch(id_looked_at(command));
}

[[gnu::always_inline]] inline void MatchingEngine::order_prefetch(const Command& command, SlotsAhead& ahead,
                                                                  std::size_t at) const {
    const Slot slot = stores_.index.slot_guess(id_looked_at(command));
    ahead.slots[at % SlotsAhead::COUNT] = slot;
    stores_.orders.slot_prefetch(slot);
}

[[gnu::always_inline]] inline void MatchingEngine::neighbours_prefetch(const SlotsAhead& ahead,
                                                                       std::size_t at) const {
    const Order& order = stores_.orders.order(ahead.slots[at % SlotsAhead::COUNT]);
    stores_.orders.slot_prefetch(order.next);
    stores_.orders.slot_prefetch(order.prev);
    __builtin_prefetch(order.level, 1);
}

[[gnu::always_inline]] inline void MatchingEngine::place_prefetch(const Command& command) const {
    __builtin_prefetch(&places_[place_guess(command.symbol_id)]);
}

// The book a command names, or where its symbol has another's place, that one; with none there, the first.
[[gnu::always_inline]] inline const OrderBook& MatchingEngine::book_guess(const Command& command) const {
    return book_at(places_[place_guess(command.symbol_id)].number);
}

template <bool IS_LARGE, bool IS_WIDE>
[[gnu::always_inline]] inline void MatchingEngine::commands_prefetch(std::span<const Command> commands,
                                                                     SlotsAhead& ahead, std::size_t at) const {
    const std::size_t last = commands.size() - 1;
    const Command& entered = commands[std::min(at + ENTRY_DISTANCE, last)];
    const Command& found = commands[std::min(at + ORDER_DISTANCE, last)];
    if constexpr (IS_LARGE) {
        entry_prefetch(entered);
        order_prefetch(found, ahead, at + ORDER_DISTANCE);
        neighbours_prefetch(ahead, at + NEIGHBOUR_DISTANCE);
    }
    if constexpr (IS_WIDE) {
        const Command& linked = commands[std::min(at + NEIGHBOUR_DISTANCE, last)];
        place_prefetch(entered);
        book_guess(found).book_prefetch();
        book_guess(linked).page_prefetch(linked);
        const Command& placed = commands[std::min(at + LEVEL_DISTANCE, last)];
        book_guess(placed).level_prefetch(placed);
    }
}

// What the first commands of a batch would have had fetched for them by those before.
[[gnu::always_inline]] inline void MatchingEngine::batch_prefetch(std::span<const Command> commands,
                                                                  SlotsAhead& ahead) const {
    const std::size_t last = commands.size() - 1;
    for (std::size_t at = 0; at < ENTRY_DISTANCE; ++at) entry_prefetch(commands[std::min(at, last)]);
    for (std::size_t at = 0; at < ORDER_DISTANCE; ++at) order_prefetch(commands[std::min(at, last)], ahead, at);
    for (std::size_t at = 0; at < NEIGHBOUR_DISTANCE; ++at) neighbours_prefetch(ahead, at);
}

}  // namespace openbell
