// The id table against a standard map, through many erasures.
#include <unordered_map>

#include "check.hpp"
#include "commands.hpp"
#include "openbell/order_index.hpp"

using openbell::NO_SLOT;
using openbell::OrderIndex;
using openbell::Slot;

TEST(order_index, unknown_id_has_no_slot) {
    const OrderIndex index(10);
    CHECK(index.slot_find(1) == NO_SLOT);
    CHECK(index.slot_find(0) == NO_SLOT);
}

TEST(order_index, erasing_an_unknown_id_is_a_broken_invariant) {
    OrderIndex index(10);
    CHECK_THROWS(index.slot_erase(5), openbell::InvariantBroken);
}

TEST(order_index, agrees_with_a_map_while_full_and_changing) {
    constexpr std::size_t CAPACITY = 500;
    OrderIndex index(CAPACITY);
    std::unordered_map<std::uint64_t, Slot> map;
    commands::Random random(1);
    for (int step = 0; step < 200'000; ++step) {
        const std::uint64_t id = (random.below(900) + 1) << 20U;
        if (map.contains(id)) {
            index.slot_erase(id);
            map.erase(id);
        } else if (map.size() < CAPACITY) {
            const Slot slot = static_cast<Slot>(step + 1);
            index.slot_put(id, slot);
            map[id] = slot;
        }
        const std::uint64_t asked = (random.below(900) + 1) << 20U;
        CHECK(index.slot_find(asked) == (map.contains(asked) ? map[asked] : NO_SLOT));
    }
    for (const auto& [id, slot] : map) CHECK(index.slot_find(id) == slot);
}
