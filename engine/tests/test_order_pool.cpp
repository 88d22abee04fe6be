// Slots come and go last in, first out; queues keep their order through removals anywhere.
#include <vector>

#include "check.hpp"
#include "openbell/order_pool.hpp"
#include "openbell/queue_walk.hpp"

using openbell::NO_SLOT;
using openbell::Order;
using openbell::OrderPool;
using openbell::Queue;
using openbell::QueueWalk;
using openbell::Slot;

namespace {

std::vector<Slot> slots_of(const OrderPool& orders, const Queue& queue) {
    std::vector<Slot> slots;
    orders.queue_visit(queue, [&slots](Slot slot, const Order&) { slots.push_back(slot); });
    return slots;
}

}  // namespace

TEST(order_pool, slot_given_back_last_is_taken_first) {
    OrderPool orders(3);
    const Slot one = orders.slot_take();
    const Slot two = orders.slot_take();
    CHECK(one != NO_SLOT && two != NO_SLOT && one != two);
    orders.slot_give_back(one);
    orders.slot_give_back(two);
    CHECK(orders.count() == 0);
    CHECK(orders.slot_take() == two && orders.slot_take() == one);
}

TEST(order_pool, full_pool_gives_no_slot) {
    OrderPool orders(2);
    orders.slot_take();
    orders.slot_take();
    CHECK(orders.is_full());
    CHECK_THROWS(orders.slot_take(), openbell::InvariantBroken);
}

TEST(order_pool, queue_keeps_its_order_through_removals) {
    OrderPool orders(5);
    Queue queue{};
    for (int at = 0; at < 5; ++at) orders.queue_append(queue, orders.slot_take());
    orders.queue_remove(queue, 3);
    CHECK((slots_of(orders, queue) == std::vector<Slot>{1, 2, 4, 5}));
    orders.queue_remove(queue, 1);
    orders.queue_remove(queue, 5);
    CHECK((slots_of(orders, queue) == std::vector<Slot>{2, 4}));
    orders.queue_remove(queue, 2);
    orders.queue_remove(queue, 4);
    CHECK(queue.head == NO_SLOT && queue.tail == NO_SLOT);
}

TEST(order_pool, walk_finds_the_orders_of_many_queues_in_the_order_of_adding) {
    OrderPool orders(2'000);
    std::vector<Queue> queues(50);
    for (std::size_t at = 0; at < 2'000; ++at) orders.queue_append(queues[at * at % queues.size()], orders.slot_take());
    QueueWalk walk(orders);
    std::vector<Slot> expected;
    for (const Queue& queue : queues) {
        walk.queue_add(queue);
        for (const Slot slot : slots_of(orders, queue)) expected.push_back(slot);
    }
    std::vector<Slot> found;
    walk.slots_append(found);
    CHECK(found == expected && found.size() == 2'000);
    walk.slots_append(found);
    CHECK(found.size() == 2'000);
}
