// Writing an engine's state as blocks of bytes.
#include "openbell/matching_engine.hpp"
#include "openbell/snapshot_blocks.hpp"

namespace openbell {

class SnapshotWriter {
public:
    explicit SnapshotWriter(const MatchingEngine& engine)
        : engine_(engine),
          blocks_(sizeof(SnapshotHeader) + engine.book_count_ * (sizeof(SnapshotBook) + sizeof(SnapshotOrder)) +
                  engine.order_count() * (sizeof(SnapshotOrder) + sizeof(SnapshotExtra))) {}

    Snapshot write() {
        SnapshotHeader header{SNAPSHOT_MAGIC, SNAPSHOT_VERSION, engine_.book_count_, engine_.order_count(), 0,
                              engine_.last_seq_, 0};
        blocks_.put(header);
        for (std::uint32_t number = 0; number < engine_.book_count_; ++number) book_put(engine_.book_at(number));
        header.content_bytes = blocks_.content_bytes();
        header.state_hash = books_hash(hashes_);
        return blocks_.finish(header);
    }

private:
    void book_put(const OrderBook& book) {
        const BookStatus& status = book.status_;
        blocks_.put(SnapshotBook{.symbol_id = book.symbol_id_,
                                 .tick = status.tick,
                                 .arrivals = book.arrivals_,
                                 .last_price = book.last_price_,
                                 .last_quantity = book.last_quantity_,
                                 .last_time_ns = book.last_time_ns_,
                                 .volume = book.volume_,
                                 .lower_band = status.lower_band,
                                 .upper_band = status.upper_band,
                                 .phase = byte_of(status.phase),
                                 .mode = byte_of(status.mode),
                                 .limit_side = status.limit_side,
                                 .is_publishing = status.is_publishing,
                                 .unused = 0});
        const BookOrders all = book.orders_all();
        hashes_.push_back({book.symbol_id_, book.state_hash(all)});
        engine_.stores_.orders.slots_visit(all.slots, [this](Slot slot) { order_put(slot); });
        blocks_.put(SnapshotOrder{});
    }

    void order_put(Slot slot) {
        const Order& order = engine_.stores_.orders.order(slot);
        const bool has_extra = order.place == Place::ICEBERG || order.place == Place::STOP;
        blocks_.put(SnapshotOrder{order.order_id, order.owner, order.price, order.arrival, order.leaves, order.cum,
                                  byte_of(order.side), byte_of(order.ord_type), byte_of(order.tif), byte_of(order.stp),
                                  order.flags, has_extra, 0});
        if (!has_extra) return;
        const OrderExtra& extra = engine_.stores_.orders.extra(slot);
        if (order.place == Place::STOP) return blocks_.put(SnapshotExtra{extra.mark, extra.trail, 0, 0, 0});
        blocks_.put(SnapshotExtra{0, 0, extra.display, extra.shown, 0});
    }

    const MatchingEngine& engine_;
    BlockWriter blocks_;
    std::vector<BookHash> hashes_;
};

Snapshot MatchingEngine::snapshot() const { return SnapshotWriter(*this).write(); }

}  // namespace openbell
