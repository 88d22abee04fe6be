// One side of a book: price levels in a window of ticks with an occupancy bitmap, far prices in a sorted map.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <map>
#include <memory_resource>

#include "openbell/arena.hpp"
#include "openbell/types.hpp"

namespace openbell {

struct Level {
    std::uint64_t quantity;
    std::uint32_t count;
    Slot head;
    Slot tail;
    std::uint32_t unused;
};

inline constexpr std::uint32_t PAGE_LEVELS = 64;
inline constexpr std::uint32_t WINDOW_PAGES = 256;
inline constexpr std::uint32_t WINDOW_LEVELS = PAGE_LEVELS * WINDOW_PAGES;
inline constexpr std::uint32_t SUMMARY_WORDS = WINDOW_PAGES / 64;

struct LevelPage {
    std::uint64_t occupied;
    std::uint32_t next_free;
    std::uint32_t unused;
    Level levels[PAGE_LEVELS];
};

// Pages for all ladders of an engine. A page in use holds an order, so there are never more pages than orders.
class LevelPages {
public:
    LevelPages(std::size_t orders_max, std::size_t books_max) : pages_(count_needed(orders_max, books_max)) {}

    LevelPage& page(std::uint32_t id) { return pages_[id]; }
    const LevelPage& page(std::uint32_t id) const { return pages_[id]; }

    std::uint32_t page_take() {
        if (free_ == 0) return ++high_water_;
        const std::uint32_t id = free_;
        free_ = pages_[id].next_free;
        return id;
    }

    void page_give_back(std::uint32_t id) {
        pages_[id].next_free = free_;
        free_ = id;
    }

private:
    static std::size_t count_needed(std::size_t orders_max, std::size_t books_max) {
        return std::min(orders_max, books_max * 2 * WINDOW_PAGES) + 1;
    }

    Arena<LevelPage> pages_;
    std::uint32_t free_ = 0;
    std::uint32_t high_water_ = 0;
};

// Inside, a price is a key: the price for bids, its negative for asks, so that the best is always the largest.
class PriceLadder {
public:
    PriceLadder(Side side, LevelPages& pages, std::pmr::memory_resource& memory)
        : sign_(side == Side::BUY ? 1 : -1), pages_(&pages), far_(&memory) {}

    bool is_empty() const { return best_level_ == nullptr; }
    Level& best() const { return *best_level_; }
    std::int64_t best_price() const { return best_key_ * sign_; }
    bool best_reaches(std::int64_t price) const { return !is_empty() && best_key_ >= price * sign_; }

    // The level at a price, made if there is none.
    Level& level_open(std::int64_t price);
    // Forgets a level that has no orders left.
    void level_close(std::int64_t price);
    // The next worse level; nullptr after the last. `price` moves to it.
    const Level* level_after(std::int64_t& price) const;

private:
    static constexpr std::uint32_t OUTSIDE = WINDOW_LEVELS;

    std::uint32_t index_of(std::int64_t key) const;
    std::int64_t key_of(std::uint32_t index) const { return base_key_ + std::int64_t{index} * tick_; }
    bool is_occupied(std::uint32_t index) const;
    Level& level_at(std::uint32_t index) { return pages_->page(directory_[index / PAGE_LEVELS]).levels[index % PAGE_LEVELS]; }
    void window_move(std::int64_t key);
    Level& window_open(std::uint32_t index);
    void window_close(std::uint32_t index);
    // The occupied place below `limit` nearest to it, or OUTSIDE.
    std::uint32_t window_below(std::uint32_t limit) const;
    std::uint32_t places_below(std::int64_t key) const;
    void best_find();

    std::int64_t sign_;
    std::int64_t best_key_ = 0;
    Level* best_level_ = nullptr;
    LevelPages* pages_;
    std::int64_t base_key_ = 0;
    std::int32_t tick_ = 1;
    std::uint32_t window_count_ = 0;
    std::uint64_t summary_[SUMMARY_WORDS] = {};
    std::uint32_t directory_[WINDOW_PAGES] = {};
    std::pmr::map<std::int64_t, Level> far_;
};

}  // namespace openbell
