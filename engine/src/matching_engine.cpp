// Decoding commands, finding books and orders, refusing what cannot be done.
#include "openbell/matching_engine.hpp"

#include <algorithm>
#include <new>
#include <stdexcept>

#include "openbell/command_check.hpp"
#include "openbell/fetch_ahead.hpp"
#include "openbell/plain_path.hpp"
#include "openbell/state_hash.hpp"

namespace openbell {

namespace {

std::size_t limit_checked(std::size_t value, std::size_t max, const char* message) {
    if (value == 0 || value > max) throw std::invalid_argument(message);
    return value;
}

}  // namespace

MatchingEngine::MatchingEngine(std::size_t max_orders, std::size_t max_books, std::size_t orders_expected)
    : stores_(limit_checked(max_orders, ORDERS_MAX, "max_orders must be from 1 to 67,108,864"),
              limit_checked(max_books, BOOKS_MAX, "max_books must be from 1 to 65,536"),
              std::min(orders_expected, max_orders)),
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

// What most commands are, done without looking for features; false, and nothing done, if it is anything else, which
// includes everything that has to be refused.
[[gnu::always_inline]] inline bool MatchingEngine::plain_apply(const Command& command) {
    if (command.kind == byte_of(CommandKind::CANCEL)) return plain_cancel_apply(command);
    return command.kind == byte_of(CommandKind::NEW) && plain_new_apply(command);
}

[[gnu::always_inline]] inline bool MatchingEngine::plain_cancel_apply(const Command& command) {
    if (((command.flags & ~FLAGS_ALL) | command.reserved) != 0) return false;
    const OrderIndex::Found found = stores_.index.order_find(command.orig_order_id);
    if (found.slot == NO_SLOT) return false;
    const Order& order = stores_.orders.order(found.slot);
    OrderBook& book = book_at(order.book);
    if (book.symbol_id() != command.symbol_id || !book.is_plain() || order.place != Place::DISPLAYED) return false;
    if (&book != touched_last_) book_touch(book);
    book.plain_cancel(command, found);
    return true;
}

[[gnu::always_inline]] inline bool MatchingEngine::plain_new_apply(const Command& command) {
    if (!is_plain_new(command)) return false;
    OrderBook* book = touched_last_;
    if (book == nullptr || book->symbol_id() != command.symbol_id) [[unlikely]] {
        book = book_find(command.symbol_id);
        if (book == nullptr) return false;
        book_touch(*book);
    }
    if (!book->is_plain()) return false;
    const bool rests = command.ord_type == byte_of(OrdType::LIMIT) && command.tif != byte_of(TimeInForce::IOC);
    if (rests && stores_.orders.is_full()) return false;
    const OrderIndex::Found found = stores_.index.order_find(command.order_id);
    if (found.slot != NO_SLOT) return false;
    book->plain_new(command, found, rests);
    return true;
}

std::span<const Event> MatchingEngine::process(std::span<const Command> commands) {
    if (commands.size() > BATCH_COMMANDS_MAX) throw std::invalid_argument("a batch has at most 1,048,576 commands");
    stores_.events.batch_begin();
    const bool is_large = stores_.index.is_large();
    if (book_count_ > BOOKS_CACHED) {
        is_large ? batch_apply<true, true>(commands) : batch_apply<false, true>(commands);
    } else {
        is_large ? batch_apply<true, false>(commands) : batch_apply<false, false>(commands);
    }
    stores_.index.erasures_finish();
    if (!commands.empty()) last_seq_ = commands.back().seq;
    views_publish();
    return stores_.events.events();
}

template <bool IS_LARGE, bool IS_WIDE>
[[gnu::noinline]] void MatchingEngine::batch_apply(std::span<const Command> commands) {
    SlotsAhead ahead;
    if (IS_LARGE && !commands.empty()) batch_prefetch(commands, ahead);
    for (std::size_t at = 0; at < commands.size(); ++at) {
        record_prefetch(commands.data(), at);
        if constexpr (IS_LARGE || IS_WIDE) commands_prefetch<IS_LARGE, IS_WIDE>(commands, ahead, at);
        if (!plain_apply(commands[at])) [[unlikely]] any_apply(commands[at]);
    }
}

void MatchingEngine::any_apply(const Command& command) {
    stores_.events.command_begin(command);
    if (const Reason reason = command_check(command); reason != Reason::NONE) return command_reject(command, reason);
    switch (static_cast<CommandKind>(command.kind)) {
        case CommandKind::NEW: return new_apply(command);
        case CommandKind::CANCEL: return cancel_apply(command, ExecType::CANCELED);
        case CommandKind::EXPIRE: return cancel_apply(command, ExecType::EXPIRED);
        case CommandKind::REPLACE: return replace_apply(command);
        case CommandKind::RESTORE: return restore_apply(command);
        case CommandKind::RESTORE_LAST:
        case CommandKind::PHASE:
        case CommandKind::BANDS:
        case CommandKind::MODE:
        case CommandKind::OPTIONS: return book_apply(command);
    }
}

void MatchingEngine::new_apply(const Command& command) {
    if (order_find(command.order_id) != NO_SLOT) return command_reject(command, Reason::DUPLICATE_ORDER);
    OrderBook* book = book_prepare(command.symbol_id);
    if (book == nullptr) return command_reject(command, Reason::BOOKS_FULL);
    if (const Reason reason = book->new_check(command); reason != Reason::NONE) return command_reject(command, reason);
    book_open(*book);
    book_touch(*book);
    book->order_new(command);
    book->command_end();
}

void MatchingEngine::restore_apply(const Command& command) {
    if (order_find(command.order_id) != NO_SLOT) return command_reject(command, Reason::DUPLICATE_ORDER);
    OrderBook* book = book_prepare(command.symbol_id);
    if (book == nullptr) return command_reject(command, Reason::BOOKS_FULL);
    if (const Reason reason = book->restore_check(command); reason != Reason::NONE)
        return command_reject(command, reason);
    book_open(*book);
    book_touch(*book);
    book->order_restore(command);
    book->command_end();
}

void MatchingEngine::cancel_apply(const Command& command, ExecType exec_type) {
    const Slot slot = order_find(command.symbol_id, command.orig_order_id);
    if (slot == NO_SLOT) return command_reject(command, Reason::UNKNOWN_ORDER);
    OrderBook& book = book_at(stores_.orders.order(slot).book);
    book_touch(book);
    book.order_cancel(slot, exec_type);
    book.command_end();
}

void MatchingEngine::replace_apply(const Command& command) {
    const Slot slot = order_find(command.symbol_id, command.orig_order_id);
    if (slot == NO_SLOT) return command_reject(command, Reason::UNKNOWN_ORDER);
    OrderBook& book = book_at(stores_.orders.order(slot).book);
    if (const Reason reason = book.replace_check(command, slot); reason != Reason::NONE)
        return command_reject(command, reason);
    book_touch(book);
    book.order_replace(command, slot);
    book.command_end();
}

void MatchingEngine::book_apply(const Command& command) {
    OrderBook* book = book_prepare(command.symbol_id);
    if (book == nullptr) return command_reject(command, Reason::BOOKS_FULL);
    book_open(*book);
    book_touch(*book);
    switch (static_cast<CommandKind>(command.kind)) {
        case CommandKind::PHASE: book->phase_set(command); break;
        case CommandKind::BANDS: book->bands_set(command); break;
        case CommandKind::MODE: book->mode_set(command); break;
        case CommandKind::OPTIONS: book->options_set(command); break;
        default: book->last_restore(command); break;
    }
    book->command_end();
}

// Repeats what was asked, so that the asker can be answered without looking anything up.
void MatchingEngine::command_reject(const Command& command, Reason reason) {
    Event& event = stores_.events.event_push(ExecType::REJECTED);
    event.ord_status = byte_of(OrdStatus::REJECTED);
    event.reason = byte_of(reason);
    event.side = command.side;
    event.order_id = command.order_id;
    event.contra_order_id = command.orig_order_id;
    event.owner = command.owner;
}

Slot MatchingEngine::order_find(std::uint32_t symbol_id, std::uint64_t order_id) const {
    const Slot slot = order_find(order_id);
    if (slot == NO_SLOT) return NO_SLOT;
    return book_at(stores_.orders.order(slot).book).symbol_id() == symbol_id ? slot : NO_SLOT;
}

std::size_t MatchingEngine::place_of(std::uint32_t symbol_id) const {
    for (std::size_t at = place_guess(symbol_id);; at = (at + 1) & (places_size_ - 1)) {
        const std::uint32_t found = places_[at].symbol_id.load(std::memory_order_acquire);
        if (found == symbol_id || found == 0) return at;
    }
}

OrderBook* MatchingEngine::book_find(std::uint32_t symbol_id) const {
    if (symbol_id == 0) return nullptr;
    const BookPlace& place = places_[place_of(symbol_id)];
    return place.symbol_id.load(std::memory_order_acquire) == 0 ? nullptr : &book_at(place.number);
}

// A book that is prepared holds nothing that needs to be destroyed before the next is prepared in its place.
OrderBook* MatchingEngine::book_prepare(std::uint32_t symbol_id) {
    if (OrderBook* book = book_find(symbol_id); book != nullptr) return book;
    if (book_count_ == max_books_) return nullptr;
    return new (&books_[book_count_]) OrderBook(stores_, symbol_id, book_count_);
}

void MatchingEngine::book_open(const OrderBook& book) {
    if (book.number() != book_count_) return;
    BookPlace& place = places_[place_of(book.symbol_id())];
    place.number = book_count_++;
    // The number and the book must be seen by whoever sees the symbol.
    place.symbol_id.store(book.symbol_id(), std::memory_order_release);
}

void MatchingEngine::book_touch(OrderBook& book) {
    if (&book == touched_last_) return;
    touched_last_ = &book;
    if (is_touched_[book.number()]) return;
    is_touched_[book.number()] = true;
    touched_.push_back(book.number());
}

void MatchingEngine::views_publish() {
    constexpr std::size_t VIEW_DISTANCE = 4;
    for (std::size_t at = 0; at < touched_.size(); ++at) {
        book_at(touched_[std::min(at + VIEW_DISTANCE, touched_.size() - 1)]).view_prefetch();
        book_at(touched_[at]).view_publish();
        is_touched_[touched_[at]] = false;
    }
    touched_.clear();
    touched_last_ = nullptr;
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
    std::vector<BookHash> hashes;
    for (std::uint32_t number = 0; number < book_count_; ++number)
        hashes.push_back({book_at(number).symbol_id(), book_at(number).state_hash()});
    return books_hash(hashes);
}

std::uint64_t books_hash(std::vector<BookHash>& hashes) {
    std::ranges::sort(hashes, {}, &BookHash::symbol_id);
    StateHash hash;
    for (const BookHash& book : hashes) {
        if (book.value != 0) hash.mix(book.value);
    }
    return hash.value();
}

std::optional<Indication> MatchingEngine::indication(std::uint32_t symbol_id) const {
    const OrderBook* book = book_find(symbol_id);
    return book == nullptr ? std::nullopt : book->indication();
}

std::optional<BookStatus> MatchingEngine::book_status(std::uint32_t symbol_id) const {
    const OrderBook* book = book_find(symbol_id);
    return book == nullptr ? std::nullopt : std::optional(book->status());
}

std::uint32_t MatchingEngine::stop_count(std::uint32_t symbol_id) const {
    const OrderBook* book = book_find(symbol_id);
    return book == nullptr ? 0 : book->stop_count();
}

std::optional<Quote> MatchingEngine::quote(std::uint32_t symbol_id) const {
    const OrderBook* book = book_find(symbol_id);
    if (book == nullptr) return std::nullopt;
    return book->view().quote_read();
}

}  // namespace openbell
