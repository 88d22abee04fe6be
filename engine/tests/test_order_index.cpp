// The id table against a standard map, through many erasures and much growth.
#include <unordered_map>

#include "check.hpp"
#include "commands.hpp"
#include "openbell/order_index.hpp"

using openbell::NO_SLOT;
using openbell::OrderIndex;
using openbell::OrderPool;
using openbell::Slot;

namespace {

// The table looks at the orders to tell ids with the same half hash apart.
struct Table {
    explicit Table(std::size_t capacity, std::size_t expected) : orders(capacity), index(orders, expected) {}

    Slot find(std::uint64_t id) const { return index.order_find(id).slot; }
    void put(std::uint64_t id) {
        const Slot slot = orders.slot_take();
        orders.order(slot).order_id = id;
        index.order_put(id, slot);
    }
    void erase(std::uint64_t id) {
        const Slot slot = find(id);
        index.order_erase(id, slot);
        orders.slot_give_back(slot);
    }

    OrderPool orders;
    OrderIndex index;
};

void map_compare(std::size_t capacity, std::uint64_t ids, int shift) {
    Table table(capacity, 1);
    std::unordered_map<std::uint64_t, Slot> map;
    commands::Random random(1);
    for (int step = 0; step < 200'000; ++step) {
        const std::uint64_t id = (random.below(ids) + 1) << shift;
        if (map.contains(id)) {
            table.erase(id);
            map.erase(id);
        } else if (map.size() < capacity) {
            table.put(id);
            map[id] = table.find(id);
        }
        const std::uint64_t asked = (random.below(ids) + 1) << shift;
        CHECK(table.find(asked) == (map.contains(asked) ? map[asked] : NO_SLOT));
    }
    for (const auto& [id, slot] : map) {
        CHECK(table.find(id) == slot);
        CHECK(table.orders.order(slot).order_id == id);
    }
}

}  // namespace

TEST(order_index, unknown_id_has_no_slot) {
    const Table table(10, 10);
    CHECK(table.find(1) == NO_SLOT);
    CHECK(table.find(0) == NO_SLOT);
}

TEST(order_index, erasing_an_unknown_id_is_a_broken_invariant) {
    const OrderPool orders(10);
    OrderIndex index(orders, 10);
    CHECK_THROWS(index.order_erase(5, 1), openbell::InvariantBroken);
}

TEST(order_index, agrees_with_a_map_while_full_and_changing) { map_compare(500, 900, 20); }

TEST(order_index, agrees_with_a_map_while_it_grows) { map_compare(40'000, 90'000, 0); }

TEST(order_index, place_of_an_id_not_found_is_where_it_is_put) {
    Table table(10, 10);
    const OrderIndex::Found found = table.index.order_find(7);
    const Slot slot = table.orders.slot_take();
    table.orders.order(slot).order_id = 7;
    table.index.order_put_at(found, 7, slot);
    CHECK(table.find(7) == slot);
}

TEST(order_index, erasures_to_come_outlive_neither_growth_nor_the_id) {
    Table table(5'000, 1);
    for (std::uint64_t id = 1; id <= 190; ++id) table.put(id);
    for (std::uint64_t id = 1; id <= 5; ++id) {
        const Slot slot = table.find(id);
        table.orders.slot_give_back(slot);
        table.index.order_erase_soon(id, slot);
        CHECK(table.find(id) == NO_SLOT);
    }
    // The id comes back, in the slot it had, before its old entry has gone; then the table grows.
    table.put(5);
    for (std::uint64_t id = 1'001; id <= 4'000; ++id) table.put(id);
    table.index.erasures_finish();
    for (std::uint64_t id = 1; id <= 4; ++id) CHECK(table.find(id) == NO_SLOT);
    for (std::uint64_t id = 5; id <= 190; ++id) CHECK(table.orders.order(table.find(id)).order_id == id);
    for (std::uint64_t id = 5; id <= 190; ++id) table.erase(id);
    for (std::uint64_t id = 1'001; id <= 4'000; ++id) table.erase(id);
    CHECK(table.find(5) == NO_SLOT && table.orders.count() == 0);
}

TEST(order_index, ids_of_one_bucket_spill_into_the_next) {
    Table table(400, 400);
    // Ids that differ only where the bucket does not look, and ids far apart.
    for (std::uint64_t id = 8; id < 208; ++id) table.put(id);
    for (std::uint64_t id = 8; id < 208; ++id) CHECK(table.orders.order(table.find(id)).order_id == id);
    for (std::uint64_t id = 8; id < 208; id += 2) table.erase(id);
    for (std::uint64_t id = 8; id < 208; ++id) CHECK((table.find(id) != NO_SLOT) == (id % 2 == 1));
}
