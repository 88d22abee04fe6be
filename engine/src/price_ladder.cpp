// The window, its bitmap and the far map behind a ladder.
#include "openbell/price_ladder.hpp"

#include <algorithm>

namespace openbell {

namespace {

std::uint32_t bit_highest(std::uint64_t word) { return 63U - static_cast<std::uint32_t>(std::countl_zero(word)); }

std::uint64_t bits_below(std::uint32_t bit) { return (std::uint64_t{1} << bit) - 1; }

}  // namespace

std::uint32_t PriceLadder::index_of(std::int64_t key) const {
    const auto offset = static_cast<std::uint64_t>(key - base_key_);
    if (offset >= span_) return OUTSIDE;
    const auto index = static_cast<std::uint32_t>(offset * inverse_ >> INVERSE_BITS);
    return std::uint64_t{index} * tick_ == offset ? index : OUTSIDE;
}

// Only an empty window moves. Levels already in the far map stay there, even if the new window covers them.
void PriceLadder::window_move(std::int64_t key) {
    tick_ = key * sign_ < ONE_DOLLAR_UNITS ? 1 : static_cast<std::uint32_t>(dollar_tick_);
    inverse_ = ((std::uint64_t{1} << INVERSE_BITS) + tick_ - 1) / tick_;
    span_ = std::uint64_t{WINDOW_LEVELS} * tick_;
    base_key_ = (key / tick_ - WINDOW_LEVELS / 2) * tick_;
}

Level& PriceLadder::window_open(std::uint32_t index) {
    std::uint32_t& page = directory_[index / PAGE_LEVELS];
    if (page == 0) {
        page = pages_->page_take();
        summary_[index / PAGE_LEVELS / 64] |= std::uint64_t{1} << (index / PAGE_LEVELS % 64);
    }
    pages_->occupied(page) |= std::uint64_t{1} << (index % PAGE_LEVELS);
    ++window_count_;
    return level_at(index);
}

void PriceLadder::window_close(std::uint32_t index) {
    const std::uint32_t place = index / PAGE_LEVELS;
    level_at(index) = Level{};
    std::uint64_t& occupied = pages_->occupied(directory_[place]);
    occupied &= ~(std::uint64_t{1} << (index % PAGE_LEVELS));
    --window_count_;
    if (occupied != 0) return;
    pages_->page_give_back(directory_[place]);
    directory_[place] = 0;
    summary_[place / 64] &= ~(std::uint64_t{1} << (place % 64));
}

// The window has no orders at this price; the far map may.
Level& PriceLadder::level_make(std::int64_t key) {
    if (!far_.empty()) {
        if (const auto found = far_.find(key); found != far_.end()) return found->second;
    }
    if (window_count_ == 0) window_move(key);
    const std::uint32_t index = index_of(key);
    Level& level = index != OUTSIDE ? window_open(index) : far_[key];
    if (key > best_key_) {
        best_key_ = key;
        best_level_ = &level;
    }
    return level;
}

void PriceLadder::level_close(std::int64_t price) {
    const std::int64_t key = price * sign_;
    const std::uint32_t index = index_of(key);
    // Which of the two holds it is decided by the bitmap, as its last order has gone already.
    if (index != OUTSIDE && (pages_->occupied(directory_[index / PAGE_LEVELS]) >> (index % PAGE_LEVELS) & 1U) != 0) {
        window_close(index);
    } else {
        invariant(far_.erase(key) == 1, "closed level is not on the ladder");
    }
    if (key == best_key_) best_find();
}

const Level* PriceLadder::level_find(std::int64_t price) const {
    const std::int64_t key = price * sign_;
    const std::uint32_t index = index_of(key);
    if (is_occupied(index)) return &level_at(index);
    const auto found = far_.find(key);
    return found == far_.end() ? nullptr : &found->second;
}

void PriceLadder::best_find() {
    const std::uint32_t index = window_below(WINDOW_LEVELS);
    best_key_ = NO_KEY;
    best_level_ = nullptr;
    if (index != OUTSIDE) {
        best_key_ = key_of(index);
        best_level_ = &level_at(index);
    }
    if (!far_.empty() && (index == OUTSIDE || far_.rbegin()->first > best_key_)) {
        best_key_ = far_.rbegin()->first;
        best_level_ = &far_.rbegin()->second;
    }
}

std::uint32_t PriceLadder::window_below(std::uint32_t limit) const {
    if (limit == 0 || window_count_ == 0) return OUTSIDE;
    std::uint32_t place = (limit - 1) / PAGE_LEVELS;
    if (directory_[place] != 0) {
        const std::uint32_t within = limit - place * PAGE_LEVELS;
        const std::uint64_t occupied = pages_->occupied(directory_[place]);
        const std::uint64_t word = within == PAGE_LEVELS ? occupied : occupied & bits_below(within);
        if (word != 0) return place * PAGE_LEVELS + bit_highest(word);
    }
    for (std::uint32_t at = place / 64 + 1; at-- > 0;) {
        const std::uint64_t word = at == place / 64 ? summary_[at] & bits_below(place % 64) : summary_[at];
        if (word == 0) continue;
        place = at * 64 + bit_highest(word);
        return place * PAGE_LEVELS + bit_highest(pages_->occupied(directory_[place]));
    }
    return OUTSIDE;
}

// How many places of the window have a key below the given one, which need not be on the grid.
std::uint32_t PriceLadder::places_below(std::int64_t key) const {
    const std::int64_t above_base = key - base_key_;
    if (above_base <= 0) return 0;
    return static_cast<std::uint32_t>(std::min<std::int64_t>((above_base + tick_ - 1) / tick_, WINDOW_LEVELS));
}

const Level* PriceLadder::level_after(std::int64_t& price) const {
    const std::int64_t key = price * sign_;
    const std::uint32_t index = window_below(places_below(key));
    const auto far_next = far_.lower_bound(key);
    const bool has_far = far_next != far_.begin();
    if (has_far && (index == OUTSIDE || std::prev(far_next)->first > key_of(index))) {
        price = std::prev(far_next)->first * sign_;
        return &std::prev(far_next)->second;
    }
    if (index == OUTSIDE) return nullptr;
    price = key_of(index) * sign_;
    return &level_at(index);
}

}  // namespace openbell
