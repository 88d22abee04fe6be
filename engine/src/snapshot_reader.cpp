// Reading an engine's state back. The bytes are not trusted: every number is checked as a command's would be.
#include "openbell/command_check.hpp"
#include "openbell/matching_engine.hpp"
#include "openbell/snapshot_blocks.hpp"

namespace openbell {

namespace {

// The commands that would say the same; what they may not say, a snapshot may not either.
Command book_command(const SnapshotBook& book, CommandKind kind, std::uint8_t argument, std::int64_t price) {
    Command command{};
    command.kind = byte_of(kind);
    command.symbol_id = book.symbol_id;
    command.argument = argument;
    command.price = price;
    return command;
}

Command order_command(const SnapshotBook& book, const SnapshotOrder& order, const SnapshotExtra& extra) {
    Command command{};
    command.kind = byte_of(CommandKind::RESTORE);
    command.symbol_id = book.symbol_id;
    command.order_id = order.order_id;
    command.owner = order.owner;
    command.price = order.price;
    command.stop_price = extra.stop_price;
    command.quantity = std::int64_t{order.leaves} + order.cum;
    command.cum_quantity = order.cum;
    command.display_quantity = extra.display;
    command.min_quantity = extra.shown;
    command.trail = extra.trail;
    command.side = order.side;
    command.ord_type = order.ord_type;
    command.tif = order.tif;
    command.stp = order.stp;
    command.flags = order.flags;
    return command;
}

void command_require(const Command& command) {
    snapshot_require(command_check(command) == Reason::NONE, "the snapshot says what no command may");
}

}  // namespace

class SnapshotReader {
public:
    SnapshotReader(std::span<const std::byte> bytes, std::size_t max_orders, std::size_t max_books)
        : blocks_(bytes), header_(header_get()) {
        snapshot_require(header_.order_count <= max_orders, "the snapshot holds more orders than max_orders");
        snapshot_require(header_.book_count <= max_books, "the snapshot holds more books than max_books");
        engine_ = std::make_unique<MatchingEngine>(max_orders, max_books, header_.order_count);
    }

    std::unique_ptr<MatchingEngine> read() {
        for (std::uint32_t number = 0; number < header_.book_count; ++number) book_read();
        snapshot_require(blocks_.left() == 0, "the snapshot goes on after its last book");
        snapshot_require(engine_->order_count() == header_.order_count, "the snapshot lacks orders");
        engine_->last_seq_ = header_.last_seq;
        snapshot_require(engine_->state_hash() == header_.state_hash,
                         "the snapshot's books are not those it was taken of");
        engine_->views_publish();
        return std::move(engine_);
    }

private:
    SnapshotHeader header_get() {
        const auto header = blocks_.get<SnapshotHeader>();
        snapshot_require(header.magic == SNAPSHOT_MAGIC, "this is no snapshot");
        snapshot_require(header.version == SNAPSHOT_VERSION, "the snapshot is of another version");
        snapshot_require(header.content_bytes == blocks_.content_bytes(), "the snapshot is cut short");
        snapshot_require(header.order_count <= blocks_.left() / sizeof(SnapshotOrder), "the snapshot lacks orders");
        return header;
    }

    void book_read() {
        const auto record = blocks_.get<SnapshotBook>();
        book_require(record);
        snapshot_require(engine_->book_find(record.symbol_id) == nullptr, "the snapshot has a symbol twice");
        OrderBook& book = *engine_->book_prepare(record.symbol_id);
        engine_->book_open(book);
        engine_->book_touch(book);
        book.load_begin(record);
        auto order = blocks_.get<SnapshotOrder>();
        for (; order.order_id != 0; order = blocks_.get<SnapshotOrder>()) order_read(book, record, order);
        snapshot_require(order == SnapshotOrder{}, "the end of a book in the snapshot is no end");
        snapshot_require(book.load_end(record), "a book of the snapshot is crossed or has a wrong limit state");
    }

    static void book_require(const SnapshotBook& record) {
        command_require(book_command(record, CommandKind::PHASE, record.phase, 0));
        command_require(book_command(record, CommandKind::MODE, record.mode, 0));
        command_require(book_command(record, CommandKind::OPTIONS, record.is_publishing, record.tick));
        snapshot_require(record.tick != 0 && record.unused == 0 && record.arrivals <= SNAPSHOT_ARRIVALS_MAX,
                         "a book of the snapshot has a wrong number");
        Command bands = book_command(record, CommandKind::BANDS, 0, record.lower_band);
        bands.stop_price = record.upper_band;
        command_require(bands);
        if (record.last_price == 0)
            return snapshot_require(record.last_quantity == 0 && record.last_time_ns == 0 && record.volume == 0,
                           "a book of the snapshot has traded without a price");
        Command last = book_command(record, CommandKind::RESTORE_LAST, 0, record.last_price);
        last.quantity = record.last_quantity;
        last.cum_quantity = record.volume;
        command_require(last);
    }

    void order_read(OrderBook& book, const SnapshotBook& record, const SnapshotOrder& order) {
        engine_->stores_.index.entry_prefetch(blocks_.number_ahead(PREFETCH_BYTES));
        const bool has_extra = order.has_extra != 0;
        const auto extra = has_extra ? blocks_.get<SnapshotExtra>() : SnapshotExtra{};
        const Command command = order_command(record, order, extra);
        command_require(command);
        const bool needs_extra = is_stop(order.ord_type) || extra.display != 0;
        snapshot_require(needs_extra == has_extra && order.has_extra <= 1 && (extra.display != 0) == (extra.shown != 0),
                "an order of the snapshot has a wrong number");
        snapshot_require(order.unused == 0 && extra.unused == 0, "an order of the snapshot has a wrong number");
        snapshot_require(order.arrival != 0 && order.arrival <= record.arrivals,
                         "an order of the snapshot has a wrong time");
        snapshot_require(!engine_->stores_.orders.is_full() && engine_->order_find(order.order_id) == NO_SLOT,
                "the snapshot has an order twice, or more than it says");
        snapshot_require(book.order_load(command, order.arrival), "the orders of the snapshot are not in order");
    }

    // How far ahead of an order's turn its place in the index is fetched.
    static constexpr std::size_t PREFETCH_BYTES = 16 * sizeof(SnapshotOrder);

    BlockReader blocks_;
    SnapshotHeader header_;
    std::unique_ptr<MatchingEngine> engine_;
};

std::unique_ptr<MatchingEngine> MatchingEngine::restore(std::span<const std::byte> snapshot, std::size_t max_orders,
                                                        std::size_t max_books) {
    return SnapshotReader(snapshot, max_orders, max_books).read();
}

}  // namespace openbell
