// Decoding commands, finding books and orders, refusing what cannot be done.
#include "openbell/matching_engine.hpp"

#include <algorithm>
#include <new>
#include <stdexcept>

#include "openbell/command_check.hpp"
#include "openbell/state_hash.hpp"

namespace openbell {

namespace {

// How many commands ahead an order's index entry is fetched, and then the order it leads to.
constexpr std::size_t ENTRY_DISTANCE = 8;
constexpr std::size_t ORDER_DISTANCE = 4;

std::size_t limit_checked(std::size_t value, std::size_t max, const char* message) {
    if (value == 0 || value > max) throw std::invalid_argument(message);
    return value;
}

}  // namespace

MatchingEngine::MatchingEngine(std::size_t max_orders, std::size_t max_books)
    : stores_(limit_checked(max_orders, ORDERS_MAX, "max_orders must be from 1 to 67,108,864"),
              limit_checked(max_books, BOOKS_MAX, "max_books must be from 1 to 65,536")),
      max_books_(max_books),
      places_size_(std::bit_ceil(max_books * 2)),
      places_(places_size_),
      books_(max_books),
      is_touched_(max_books) {
    touched_.reserve(max_books);
}

MatchingEngine::~MatchingEngine() {
    for (std::uint32_t number = 0; number < book_count_; ++number) book_at(number).~OrderBook();
}

std::span<const Event> MatchingEngine::process(std::span<const Command> commands) {
    if (commands.size() > BATCH_COMMANDS_MAX) throw std::invalid_argument("a batch has at most 1,048,576 commands");
    stores_.events.batch_begin();
    for (std::size_t i = 0; i < commands.size(); ++i) {
        if (i + ENTRY_DISTANCE < commands.size()) entry_prefetch(commands[i + ENTRY_DISTANCE]);
        if (i + ORDER_DISTANCE < commands.size()) order_prefetch(commands[i + ORDER_DISTANCE]);
        stores_.events.command_begin(commands[i]);
        command_apply(commands[i]);
    }
    views_publish();
    return stores_.events.events();
}

void MatchingEngine::command_apply(const Command& command) {
    if (const Reason reason = command_check(command); reason != Reason::NONE) {
        command_reject(command, reason);
        return;
    }
    switch (static_cast<CommandKind>(command.kind)) {
        case CommandKind::NEW: return new_apply(command);
        case CommandKind::CANCEL: return cancel_apply(command, ExecType::CANCELED);
        case CommandKind::EXPIRE: return cancel_apply(command, ExecType::EXPIRED);
        case CommandKind::REPLACE: return replace_apply(command);
        case CommandKind::RESTORE: return restore_apply(command);
        case CommandKind::HALT:
        case CommandKind::RESUME:
        case CommandKind::RESTORE_LAST: return book_apply(command);
    }
}

void MatchingEngine::new_apply(const Command& command) {
    if (stores_.index.slot_find(command.order_id) != NO_SLOT) return command_reject(command, Reason::DUPLICATE_ORDER);
    OrderBook* book = book_open(command);
    if (book == nullptr) return;
    const auto tif = static_cast<TimeInForce>(command.tif);
    const bool may_rest = command.ord_type == static_cast<std::uint8_t>(OrdType::LIMIT) &&
                          (tif == TimeInForce::DAY || tif == TimeInForce::GTC);
    if (book->is_halted() && !may_rest) return command_reject(command, Reason::HALTED);
    // Asked before it trades: an order that could not rest afterwards must not have traded either.
    if (may_rest && stores_.orders.is_full()) return command_reject(command, Reason::BOOK_FULL);
    book->order_new(command);
}

void MatchingEngine::restore_apply(const Command& command) {
    if (stores_.index.slot_find(command.order_id) != NO_SLOT) return command_reject(command, Reason::DUPLICATE_ORDER);
    OrderBook* book = book_open(command);
    if (book == nullptr) return;
    if (stores_.orders.is_full()) return command_reject(command, Reason::BOOK_FULL);
    if (book->restore_would_cross(command)) return command_reject(command, Reason::WOULD_CROSS);
    book->order_restore(command);
}

void MatchingEngine::cancel_apply(const Command& command, ExecType exec_type) {
    const Slot slot = order_find(command.symbol_id, command.orig_order_id);
    if (slot == NO_SLOT) return command_reject(command, Reason::UNKNOWN_ORDER);
    OrderBook& book = book_at(stores_.orders.cold(slot).book);
    book_touch(book);
    book.order_cancel(slot, exec_type);
}

void MatchingEngine::replace_apply(const Command& command) {
    const Slot slot = order_find(command.symbol_id, command.orig_order_id);
    if (slot == NO_SLOT) return command_reject(command, Reason::UNKNOWN_ORDER);
    const OrderCold& cold = stores_.orders.cold(slot);
    if (command.side != static_cast<std::uint8_t>(cold.side)) return command_reject(command, Reason::BAD_SIDE);
    if (stores_.index.slot_find(command.order_id) != NO_SLOT) return command_reject(command, Reason::DUPLICATE_ORDER);
    if (command.quantity <= stores_.orders.hot(slot).cum) return command_reject(command, Reason::TOO_LATE);
    OrderBook& book = book_at(cold.book);
    book_touch(book);
    book.order_replace(command, slot);
}

void MatchingEngine::book_apply(const Command& command) {
    OrderBook* book = book_open(command);
    if (book == nullptr) return;
    if (command.kind == static_cast<std::uint8_t>(CommandKind::HALT)) return book->trading_halt();
    if (command.kind == static_cast<std::uint8_t>(CommandKind::RESUME))
        return book->trading_resume(command.transact_time_ns);
    book->last_restore(command);
}

// Repeats what was asked, so that the asker can be answered without looking anything up.
void MatchingEngine::command_reject(const Command& command, Reason reason) {
    Event& event = stores_.events.event_push(ExecType::REJECTED);
    event.ord_status = static_cast<std::uint8_t>(OrdStatus::REJECTED);
    event.reason = static_cast<std::uint8_t>(reason);
    event.side = command.side;
    event.order_id = command.order_id;
    event.contra_order_id = command.orig_order_id;
    event.owner = command.owner;
}

void MatchingEngine::entry_prefetch(const Command& command) const {
    stores_.index.entry_prefetch(command.orig_order_id == 0 ? command.order_id : command.orig_order_id);
}

void MatchingEngine::order_prefetch(const Command& command) const {
    if (command.orig_order_id == 0) return;
    stores_.orders.slot_prefetch(stores_.index.slot_find(command.orig_order_id));
}

Slot MatchingEngine::order_find(std::uint32_t symbol_id, std::uint64_t order_id) const {
    const Slot slot = stores_.index.slot_find(order_id);
    if (slot == NO_SLOT) return NO_SLOT;
    return book_at(stores_.orders.cold(slot).book).symbol_id() == symbol_id ? slot : NO_SLOT;
}

std::size_t MatchingEngine::place_of(std::uint32_t symbol_id) const {
    std::size_t at = (symbol_id * 0x9E37'79B1U) & (places_size_ - 1);
    for (;; at = (at + 1) & (places_size_ - 1)) {
        const std::uint32_t found = places_[at].symbol_id.load(std::memory_order_acquire);
        if (found == symbol_id || found == 0) return at;
    }
}

const OrderBook* MatchingEngine::book_find(std::uint32_t symbol_id) const {
    if (symbol_id == 0) return nullptr;
    const BookPlace& place = places_[place_of(symbol_id)];
    return place.symbol_id.load(std::memory_order_acquire) == 0 ? nullptr : &book_at(place.number);
}

OrderBook* MatchingEngine::book_open(const Command& command) {
    BookPlace& place = places_[place_of(command.symbol_id)];
    if (place.symbol_id.load(std::memory_order_relaxed) == 0) {
        if (book_count_ == max_books_) {
            command_reject(command, Reason::BOOKS_FULL);
            return nullptr;
        }
        place.number = book_count_++;
        new (&books_[place.number]) OrderBook(stores_, command.symbol_id, place.number);
        // The number and the book must be seen by whoever sees the symbol.
        place.symbol_id.store(command.symbol_id, std::memory_order_release);
    }
    OrderBook& book = book_at(place.number);
    book_touch(book);
    return &book;
}

void MatchingEngine::book_touch(const OrderBook& book) {
    const auto number = static_cast<std::uint32_t>(&book - books_.data());
    if (is_touched_[number]) return;
    is_touched_[number] = true;
    touched_.push_back(number);
}

void MatchingEngine::views_publish() {
    for (const std::uint32_t number : touched_) {
        book_at(number).view_publish();
        is_touched_[number] = false;
    }
    touched_.clear();
}

std::vector<DepthLevel> MatchingEngine::depth(std::uint32_t symbol_id, Side side, std::size_t levels) const {
    if (levels > DEPTH_LEVELS_MAX) throw std::invalid_argument("depth has at most 1,000 levels");
    const OrderBook* book = book_find(symbol_id);
    return book == nullptr ? std::vector<DepthLevel>{} : book->depth(side, levels);
}

std::uint64_t MatchingEngine::state_hash(std::optional<std::uint32_t> symbol_id) const {
    if (symbol_id.has_value()) {
        const OrderBook* book = book_find(*symbol_id);
        return book == nullptr ? 0 : book->state_hash();
    }
    std::vector<const OrderBook*> books;
    for (std::uint32_t number = 0; number < book_count_; ++number) books.push_back(&book_at(number));
    std::ranges::sort(books, {}, &OrderBook::symbol_id);
    StateHash hash;
    for (const OrderBook* book : books) {
        if (const std::uint64_t value = book->state_hash(); value != 0) hash.mix(value);
    }
    return hash.value();
}

std::optional<Quote> MatchingEngine::quote(std::uint32_t symbol_id) const {
    const OrderBook* book = book_find(symbol_id);
    if (book == nullptr) return std::nullopt;
    return book->view().quote_read();
}

}  // namespace openbell
