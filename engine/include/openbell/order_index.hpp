// The one table from an order's id to its slot: buckets of one cache line, grown to what is live.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <utility>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "openbell/arena.hpp"
#include "openbell/order_pool.hpp"
#include "openbell/types.hpp"

namespace openbell {

// A bucket holds seven halves of ids' hashes beside the slots they stand for. The id itself is in the order, where it
// is looked at only when the halves agree, which is when the order is about to be needed. All seven are compared at
// once, so that finding, putting and erasing cost the same whatever the bucket holds.
class OrderIndex {
public:
    // Where an order is in the table; with NO_SLOT, the bucket it would be put in. Good until the table next changes.
    struct Found {
        std::size_t bucket;
        std::uint32_t lane;
        Slot slot;
    };

    OrderIndex(const OrderPool& orders, std::size_t orders_expected)
        : orders_(&orders),
          size_(std::bit_ceil(std::max<std::size_t>(orders_expected / ORDERS_A_BUCKET + 1, SIZE_MIN))),
          buckets_(size_) {
        size_note();
    }

    // Too large for the caches nearest the processor, so that it pays to fetch ahead.
    bool is_large() const { return size_ > SIZE_CACHED; }

    [[gnu::always_inline]] Found order_find(std::uint64_t order_id) const {
        const std::uint32_t half = half_of(order_id);
        const std::size_t home = home_of(order_id);
        const Bucket& bucket = buckets_[home];
        const std::uint32_t lanes = lanes_equal(bucket, half);
        if (lanes != 0) [[likely]] {
            const auto lane = static_cast<std::uint32_t>(std::countr_zero(lanes));
            const Slot slot = bucket.slots[lane];
            if (orders_->order(slot).order_id == order_id) [[likely]] return {home, lane, slot};
        }
        if (lanes == 0 && bucket.passed == 0) [[likely]] return {home, 0, NO_SLOT};
        return order_find_on(order_id);
    }

    void order_put(std::uint64_t order_id, Slot slot) { order_put_at({home_of(order_id), 0, NO_SLOT}, order_id, slot); }

    // Puts it where `order_find` has just not found it.
    [[gnu::always_inline]] void order_put_at(Found found, std::uint64_t order_id, Slot slot) {
        Bucket& bucket = buckets_[found.bucket];
        const std::uint32_t empty = lanes_equal(bucket, EMPTY);
        if (empty == 0 || orders_->count() > limit_) [[unlikely]] return order_put_on(order_id, slot);
        const int lane = std::countr_zero(empty);
        bucket.halves[lane] = half_of(order_id);
        bucket.slots[lane] = slot;
    }

    [[gnu::always_inline]] void order_erase(std::uint64_t order_id, Slot slot) {
        const std::uint32_t half = half_of(order_id);
        const std::size_t home = home_of(order_id);
        const Bucket& bucket = buckets_[home];
        const std::uint32_t lanes = lanes_equal(bucket, half);
        const auto lane = static_cast<std::uint32_t>(std::countr_zero(lanes | FULL_BIT));
        if (bucket.slots[lane] != slot) [[unlikely]] return order_erase_on(order_id, slot);
        entry_erase({home, lane, slot}, order_id);
    }

    // Erases what `order_find` has just found.
    [[gnu::always_inline]] void entry_erase(Found found, std::uint64_t order_id) {
        const std::size_t home = home_of(order_id);
        buckets_[found.bucket].halves[found.lane] = EMPTY;
        if (found.bucket != home) [[unlikely]] passed_add(home, found.bucket, -1);
    }

    // Erases an order whose slot has been given back, but only when its bucket has had time to come from memory. Until
    // then the entry leads to a slot that is free or another order's, which `order_find` sees.
    [[gnu::always_inline]] void order_erase_soon(std::uint64_t order_id, Slot slot) {
        entry_prefetch(order_id);
        Erasure& oldest = erasures_[erasure_count_++ % ERASURES];
        const Erasure due = std::exchange(oldest, {order_id, slot});
        if (due.slot != NO_SLOT) order_erase(due.order_id, due.slot);
    }

    // Does all that `order_erase_soon` still has to do.
    void erasures_finish() {
        for (std::uint32_t left = std::min(erasure_count_, ERASURES); left != 0; --left) {
            const Erasure due = std::exchange(erasures_[(erasure_count_ - left) % ERASURES], {});
            order_erase(due.order_id, due.slot);
        }
        erasure_count_ = 0;
    }

    [[gnu::always_inline]] void entry_prefetch(std::uint64_t order_id) const {
        __builtin_prefetch(&buckets_[home_of(order_id)], 1);
    }

    // The slot that is most likely this order's, without looking at the order and without a branch; NO_SLOT if none is.
    [[gnu::always_inline]] Slot slot_guess(std::uint64_t order_id) const {
        const Bucket& bucket = buckets_[home_of(order_id)];
        return bucket.slots[std::countr_zero(lanes_equal(bucket, half_of(order_id)) | FULL_BIT)];
    }

private:
    static constexpr std::uint32_t LANES = 7;
    static constexpr std::uint32_t FULL_BIT = 1U << LANES;
    static constexpr std::uint32_t EMPTY = 0;
    static constexpr std::size_t ORDERS_A_BUCKET = 3;  // on average at most, so that few are full
    static constexpr std::size_t SIZE_MIN = 64;
    static constexpr std::size_t SIZE_CACHED = 1U << 13U;
    static constexpr std::uint32_t ERASURES = 8;

    struct alignas(64) Bucket {
        std::uint32_t halves[LANES];
        std::uint32_t passed;   // how many orders found this one full and went on
        Slot slots[LANES + 1];  // the last is NO_SLOT
    };
    static_assert(sizeof(Bucket) == 64);

    struct Erasure {
        std::uint64_t order_id;
        Slot slot;
    };

    // Ids are time-ordered numbers that share their high bits; the golden ratio spreads what differs. Ids that follow
    // one another share a bucket, which is at hand when the next comes; their halves differ. A half is never EMPTY.
    static std::uint32_t half_of(std::uint64_t order_id) {
        return static_cast<std::uint32_t>((order_id * 0x9E37'79B9'7F4A'7C15ULL) >> 32U) | 1U;
    }
    std::size_t home_of(std::uint64_t order_id) const { return (order_id >> 3U) * 0x9E37'79B9'7F4A'7C15ULL >> shift_; }
    std::size_t next(std::size_t bucket) const { return (bucket + 1) & (size_ - 1); }

    // The lanes that hold this half, a bit each.
    static std::uint32_t lanes_equal(const Bucket& bucket, std::uint32_t half) {
#if defined(__SSE2__)
        const __m128i wanted = _mm_set1_epi32(static_cast<int>(half));
        const auto* at = reinterpret_cast<const __m128i*>(bucket.halves);
        const __m128i low = _mm_cmpeq_epi32(_mm_load_si128(at), wanted);
        const __m128i high = _mm_cmpeq_epi32(_mm_load_si128(at + 1), wanted);
        const auto bits = _mm_movemask_epi8(_mm_packs_epi16(_mm_packs_epi32(low, high), _mm_setzero_si128()));
        return static_cast<std::uint32_t>(bits) & (FULL_BIT - 1);
#else
        std::uint32_t bits = 0;
        for (std::uint32_t lane = 0; lane < LANES; ++lane) bits |= (bucket.halves[lane] == half ? 1U : 0U) << lane;
        return bits;
#endif
    }

    void size_note() {
        limit_ = size_ * ORDERS_A_BUCKET;
        shift_ = 64 - std::countr_zero(size_);
    }

    // The same, where a bucket is full or two orders have the same half.
    [[gnu::noinline]] Found order_find_on(std::uint64_t order_id) const {
        const std::uint32_t half = half_of(order_id);
        const std::size_t home = home_of(order_id);
        std::size_t at = home;
        for (std::size_t seen = 0; seen < size_; ++seen, at = next(at)) {
            for (std::uint32_t lanes = lanes_equal(buckets_[at], half); lanes != 0; lanes &= lanes - 1) {
                const auto lane = static_cast<std::uint32_t>(std::countr_zero(lanes));
                const Slot slot = buckets_[at].slots[lane];
                if (orders_->order(slot).order_id == order_id) return {at, lane, slot};
            }
            if (buckets_[at].passed == 0) break;
        }
        return {home, 0, NO_SLOT};
    }

    [[gnu::noinline]] void order_put_on(std::uint64_t order_id, Slot slot) {
        if (orders_->count() > limit_) grow();
        entry_put(order_id, slot);
    }

    void entry_put(std::uint64_t order_id, Slot slot) {
        const std::uint32_t half = half_of(order_id);
        const std::size_t home = home_of(order_id);
        std::size_t at = home;
        while (lanes_equal(buckets_[at], EMPTY) == 0) at = next(at);
        const int lane = std::countr_zero(lanes_equal(buckets_[at], EMPTY));
        buckets_[at].halves[lane] = half;
        buckets_[at].slots[lane] = slot;
        passed_add(home, at, 1);
    }

    [[gnu::noinline]] void order_erase_on(std::uint64_t order_id, Slot slot) {
        const std::uint32_t half = half_of(order_id);
        std::size_t at = home_of(order_id);
        for (std::size_t seen = 0; seen < size_; ++seen, at = next(at)) {
            for (std::uint32_t lanes = lanes_equal(buckets_[at], half); lanes != 0; lanes &= lanes - 1) {
                const auto lane = static_cast<std::uint32_t>(std::countr_zero(lanes));
                if (buckets_[at].slots[lane] == slot) return entry_erase({at, lane, slot}, order_id);
            }
            if (buckets_[at].passed == 0) break;
        }
        throw InvariantBroken("erased order is not in the index");
    }

    // Every bucket from an order's home up to the one it is in remembers that it was passed.
    void passed_add(std::size_t from, std::size_t to, int difference) {
        const auto change = static_cast<std::uint32_t>(difference);
        for (std::size_t at = from; at != to; at = next(at)) buckets_[at].passed += change;
    }

    [[gnu::noinline, gnu::cold]] void grow() {
        // An entry whose order has gone would not say where it belongs.
        erasures_finish();
        Arena<Bucket> old(size_ * 2);
        std::swap(buckets_, old);
        const std::size_t old_size = size_;
        size_ *= 2;
        size_note();
        for (std::size_t from = 0; from < old_size; ++from) {
            for (std::uint32_t lane = 0; lane < LANES; ++lane) {
                const Slot slot = old[from].slots[lane];
                if (old[from].halves[lane] != EMPTY) entry_put(orders_->order(slot).order_id, slot);
            }
        }
    }

    const OrderPool* orders_;
    std::size_t size_;
    std::size_t limit_ = 0;
    int shift_ = 0;
    std::uint32_t erasure_count_ = 0;
    Erasure erasures_[ERASURES] = {};
    Arena<Bucket> buckets_;
};

}  // namespace openbell
