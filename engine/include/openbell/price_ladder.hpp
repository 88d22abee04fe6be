// Levels by price, best first: a window of ticks with an occupancy bitmap, far and odd prices in a sorted map.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>
#include <map>
#include <memory_resource>

#include "openbell/arena.hpp"
#include "openbell/types.hpp"

namespace openbell {

// The orders at one price, two queues of them: what is displayed trades before what is hidden. Two levels to a line.
struct Level {
    std::uint64_t quantity;  // displayed
    std::uint32_t count;     // of displayed orders
    std::uint32_t specials;  // icebergs and hidden orders: without any, `quantity` is all there is
    Queue displayed;
    Queue hidden;

    bool is_empty() const { return (displayed.head | hidden.head) == NO_SLOT; }
    Slot first() const { return displayed.head != NO_SLOT ? displayed.head : hidden.head; }
};

static_assert(sizeof(Level) == 32);

inline constexpr std::uint32_t PAGE_LEVELS = 64;
inline constexpr std::uint32_t WINDOW_PAGES = 256;
inline constexpr std::uint32_t WINDOW_LEVELS = PAGE_LEVELS * WINDOW_PAGES;
inline constexpr std::uint32_t SUMMARY_WORDS = WINDOW_PAGES / 64;

// Pages for all ladders of an engine. A page in use holds an order, and an order is on two ladders at most, a trail on
// that of its stop and that of its mark, so there are never more pages than twice the orders. All levels of a page that
// is not in use are empty, those of page 0 always.
class LevelPages {
public:
    LevelPages(std::size_t orders_max, std::size_t books_max)
        : pages_(count_needed(orders_max, books_max)), heads_(count_needed(orders_max, books_max)) {}

    Level& level(std::uint32_t page, std::uint32_t index) { return pages_[page].levels[index % PAGE_LEVELS]; }
    std::uint64_t& occupied(std::uint32_t page) { return heads_[page].occupied; }

    std::uint32_t page_take() {
        if (free_ == 0) return ++high_water_;
        const std::uint32_t page = free_;
        free_ = heads_[page].next_free;
        return page;
    }

    void page_give_back(std::uint32_t page) {
        heads_[page].next_free = free_;
        free_ = page;
    }

private:
    static constexpr std::size_t LADDERS = 6;  // of a book: bids, asks, stops and marks of both sides

    struct alignas(64) Page {
        Level levels[PAGE_LEVELS];
    };
    struct PageHead {
        std::uint64_t occupied;
        std::uint32_t next_free;
        std::uint32_t unused;
    };

    static std::size_t count_needed(std::size_t orders_max, std::size_t books_max) {
        return std::min(orders_max * 2, books_max * LADDERS * WINDOW_PAGES) + 1;
    }

    Arena<Page> pages_;
    Arena<PageHead> heads_;
    std::uint32_t free_ = 0;
    std::uint32_t high_water_ = 0;
};

// Inside, a price is a key: the price for a ladder with the highest first (Side::BUY), its negative for one with the
// lowest first, so that the best is always the largest.
class alignas(64) PriceLadder {
public:
    PriceLadder(Side side, LevelPages& pages, std::pmr::memory_resource& memory)
        : sign_(side == Side::BUY ? 1 : -1), pages_(&pages), far_(&memory) {}

    bool is_empty() const { return best_key_ == NO_KEY; }
    Level& best() const { return *best_level_; }
    std::int64_t best_price() const { return best_key_ * sign_; }
    // Whether the best is at this price or better; an empty ladder reaches none.
    bool best_reaches(std::int64_t price) const { return best_key_ >= price * sign_; }
    // Whether one price comes before the other on this ladder.
    bool is_better(std::int64_t price, std::int64_t than) const { return price * sign_ > than * sign_; }

    // The level at a price, made if there is none; whoever asks puts an order there.
    Level& level_open(std::int64_t price) {
        const std::int64_t key = price * sign_;
        const auto offset = static_cast<std::uint64_t>(key - base_key_);
        if (offset < span_) [[likely]] {
            const auto index = static_cast<std::uint32_t>(offset * inverse_ >> INVERSE_BITS);
            Level& level = level_at(index);
            if (std::uint64_t{index} * tick_ == offset && !level.is_empty()) [[likely]] return level;
        }
        return level_make(key);
    }
    // Two steps on the way to the level at a price, for later.
    [[gnu::always_inline]] void page_prefetch(std::int64_t price) const {
        __builtin_prefetch(&directory_[place_guess(price) / PAGE_LEVELS]);
    }
    [[gnu::always_inline]] void level_prefetch(std::int64_t price) const {
        __builtin_prefetch(&level_at(place_guess(price)), 1);
    }

    // Forgets a level that has no orders left.
    void level_close(std::int64_t price);
    // The level at a price, or nullptr.
    const Level* level_find(std::int64_t price) const;
    // The next worse level; nullptr after the last. `price` moves to it.
    const Level* level_after(std::int64_t& price) const;
    // The grid of the next window from one dollar up.
    void tick_set(std::int32_t tick) { dollar_tick_ = tick; }

    // Calls visit(price, level) from the best on, until it returns false.
    template <typename Visit>
    void levels_visit(Visit visit) const {
        if (is_empty()) return;
        std::int64_t price = best_price();
        for (const Level* level = best_level_; level != nullptr; level = level_after(price)) {
            if (!visit(price, *level)) return;
        }
    }

private:
    static constexpr std::int64_t NO_KEY = std::numeric_limits<std::int64_t>::min();
    static constexpr std::uint32_t OUTSIDE = WINDOW_LEVELS;
    // offset * ceil(2^42 / tick) >> 42 is offset / tick for every offset in a window of ticks up to 10,000.
    static constexpr int INVERSE_BITS = 42;

    std::uint32_t index_of(std::int64_t key) const;
    // A place of the window, which is the price's if it has one there; for any price, good or bad.
    [[gnu::always_inline]] std::uint32_t place_guess(std::int64_t price) const {
        const std::uint64_t offset = static_cast<std::uint64_t>(price) * static_cast<std::uint64_t>(sign_) -
                                     static_cast<std::uint64_t>(base_key_);
        return static_cast<std::uint32_t>(offset * inverse_ >> INVERSE_BITS) % WINDOW_LEVELS;
    }
    std::int64_t key_of(std::uint32_t index) const { return base_key_ + std::int64_t{index} * tick_; }
    bool is_occupied(std::uint32_t index) const { return index != OUTSIDE && !level_at(index).is_empty(); }
    Level& level_at(std::uint32_t index) const { return pages_->level(directory_[index / PAGE_LEVELS], index); }
    [[gnu::noinline]] Level& level_make(std::int64_t key);
    void window_move(std::int64_t key);
    Level& window_open(std::uint32_t index);
    void window_close(std::uint32_t index);
    // The occupied place below `limit` nearest to it, or OUTSIDE.
    std::uint32_t window_below(std::uint32_t limit) const;
    std::uint32_t places_below(std::int64_t key) const;
    void best_find();

    // What every command needs is on the first line.
    std::int64_t sign_;
    std::int64_t best_key_ = NO_KEY;
    Level* best_level_ = nullptr;
    LevelPages* pages_;
    std::int64_t base_key_ = 0;
    std::uint64_t span_ = 0;  // of the window, in units; 0 before the first
    std::uint64_t inverse_ = 0;
    std::uint32_t tick_ = 1;
    std::uint32_t window_count_ = 0;
    std::int32_t dollar_tick_ = TICK_DEFAULT;
    std::uint64_t summary_[SUMMARY_WORDS] = {};
    std::uint32_t directory_[WINDOW_PAGES] = {};
    std::pmr::map<std::int64_t, Level> far_;
};

}  // namespace openbell
