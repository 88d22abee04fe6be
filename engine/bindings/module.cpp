// The Python door of the engine: buffers in, bytes out, no Python called from inside.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/unique_ptr.h>

#include <cstring>
#include <memory>
#include <optional>
#include <stdexcept>
#include <vector>

#include "openbell/matching_engine.hpp"

namespace nb = nanobind;

namespace {

using openbell::Command;
using openbell::Event;
using openbell::MatchingEngine;
using openbell::Side;

class BufferView {
public:
    explicit BufferView(nb::handle object) {
        if (PyObject_GetBuffer(object.ptr(), &view_, PyBUF_C_CONTIGUOUS) != 0) throw nb::python_error();
    }
    ~BufferView() { PyBuffer_Release(&view_); }
    BufferView(const BufferView&) = delete;
    BufferView& operator=(const BufferView&) = delete;

    const void* data() const { return view_.buf; }
    std::size_t size_bytes() const { return static_cast<std::size_t>(view_.len); }

private:
    Py_buffer view_;
};

// The interpreter's lock is kept: a batch takes microseconds, and other threads may ask for the depth.
nb::bytes engine_process(MatchingEngine& engine, nb::handle commands) {
    const BufferView view(commands);
    if (view.size_bytes() % sizeof(Command) != 0)
        throw std::invalid_argument("commands must be whole records of 96 bytes");
    const std::size_t count = view.size_bytes() / sizeof(Command);
    const auto* first = static_cast<const Command*>(view.data());
    std::vector<Command> aligned;
    if (reinterpret_cast<std::uintptr_t>(first) % alignof(Command) != 0) {
        aligned.resize(count);
        std::memcpy(aligned.data(), view.data(), view.size_bytes());
        first = aligned.data();
    }
    const std::span<const Event> events = engine.process({first, count});
    return nb::bytes(events.data(), events.size_bytes());
}

nb::bytes engine_snapshot(const MatchingEngine& engine) {
    const openbell::Snapshot snapshot = engine.snapshot();
    return nb::bytes(snapshot.bytes().data(), snapshot.size);
}

std::unique_ptr<MatchingEngine> engine_restore(nb::handle snapshot, std::size_t max_orders, std::size_t max_books) {
    const BufferView view(snapshot);
    return MatchingEngine::restore({static_cast<const std::byte*>(view.data()), view.size_bytes()}, max_orders,
                                   max_books);
}

nb::list side_depth(const MatchingEngine& engine, std::uint32_t symbol_id, Side side, std::size_t levels) {
    nb::list result;
    for (const openbell::DepthLevel& level : engine.depth(symbol_id, side, levels))
        result.append(nb::make_tuple(level.price, level.quantity, level.order_count));
    return result;
}

nb::tuple engine_depth(const MatchingEngine& engine, std::uint32_t symbol_id, std::size_t levels) {
    return nb::make_tuple(side_depth(engine, symbol_id, Side::BUY, levels),
                          side_depth(engine, symbol_id, Side::SELL, levels));
}

nb::object engine_last_trade(const MatchingEngine& engine, std::uint32_t symbol_id) {
    const std::optional<openbell::Quote> quote = engine.quote(symbol_id);
    if (!quote.has_value() || quote->last_price == 0) return nb::none();
    return nb::make_tuple(quote->last_price, quote->last_quantity, quote->last_time_ns, quote->volume);
}

nb::object engine_indication(const MatchingEngine& engine, std::uint32_t symbol_id) {
    const std::optional<openbell::Indication> found = engine.indication(symbol_id);
    if (!found.has_value()) return nb::none();
    return nb::make_tuple(found->price, found->volume, found->imbalance);
}

nb::object engine_book_status(const MatchingEngine& engine, std::uint32_t symbol_id) {
    const std::optional<openbell::BookStatus> status = engine.book_status(symbol_id);
    if (!status.has_value()) return nb::none();
    return nb::make_tuple(static_cast<int>(status->phase), static_cast<int>(status->mode), status->limit_side,
                          status->lower_band, status->upper_band, status->tick);
}

template <std::size_t N>
nb::dict codes_dict(const openbell::NamedCode (&codes)[N]) {
    nb::dict result;
    for (const openbell::NamedCode& code : codes) result[code.name] = code.code;
    return result;
}

template <std::size_t N>
nb::dict layout_dict(const openbell::FieldLayout (&layout)[N]) {
    nb::dict result;
    for (const openbell::FieldLayout& field : layout) result[field.name] = nb::make_tuple(field.offset, field.size);
    return result;
}

nb::dict codes_all() {
    nb::dict result;
    result["CommandKind"] = codes_dict(openbell::COMMAND_KIND_CODES);
    result["Side"] = codes_dict(openbell::SIDE_CODES);
    result["OrdType"] = codes_dict(openbell::ORD_TYPE_CODES);
    result["TimeInForce"] = codes_dict(openbell::TIME_IN_FORCE_CODES);
    result["SelfTradePrevention"] = codes_dict(openbell::SELF_TRADE_PREVENTION_CODES);
    result["OrderFlag"] = codes_dict(openbell::ORDER_FLAG_CODES);
    result["Phase"] = codes_dict(openbell::PHASE_CODES);
    result["Mode"] = codes_dict(openbell::MODE_CODES);
    result["ExecType"] = codes_dict(openbell::EXEC_TYPE_CODES);
    result["OrdStatus"] = codes_dict(openbell::ORD_STATUS_CODES);
    result["Reason"] = codes_dict(openbell::REASON_CODES);
    return result;
}

nb::dict limits_all() {
    nb::dict result;
    result["PRICE_UNITS_MAX"] = openbell::PRICE_UNITS_MAX;
    result["QUANTITY_MAX"] = openbell::QUANTITY_MAX;
    result["ORDER_ID_MAX"] = openbell::ORDER_ID_MAX;
    result["ORDERS_MAX"] = openbell::ORDERS_MAX;
    result["BOOKS_MAX"] = openbell::BOOKS_MAX;
    result["BATCH_COMMANDS_MAX"] = openbell::BATCH_COMMANDS_MAX;
    result["DEPTH_LEVELS_MAX"] = openbell::DEPTH_LEVELS_MAX;
    return result;
}

}  // namespace

NB_MODULE(_engine, module) {
    module.doc() = "The compiled order book.";
    module.def("codes", &codes_all, nb::sig("def codes() -> dict[str, dict[str, int]]"),
               "Every code of every enumeration, by name.");
    module.def("limits", &limits_all, nb::sig("def limits() -> dict[str, int]"), "Every bound of the engine.");
    module.def("command_layout", [] { return layout_dict(openbell::COMMAND_LAYOUT); },
               nb::sig("def command_layout() -> dict[str, tuple[int, int]]"),
               "Offset and size in bytes of every field of a command.");
    module.def("event_layout", [] { return layout_dict(openbell::EVENT_LAYOUT); },
               nb::sig("def event_layout() -> dict[str, tuple[int, int]]"),
               "Offset and size in bytes of every field of an event.");

    nb::class_<MatchingEngine>(module, "MatchingEngine")
        .def(nb::init<std::size_t, std::size_t, std::size_t>(), nb::arg("max_orders"), nb::arg("max_books"),
             nb::arg("orders_expected") = MatchingEngine::ORDERS_EXPECTED,
             "Make an engine for so many live orders and books; ValueError outside the limits.")
        .def("process", &engine_process, nb::arg("commands"), nb::sig("def process(self, commands: object) -> bytes"),
             "Apply a contiguous buffer of command records in order and return the event records.")
        .def("snapshot", &engine_snapshot, "Return the whole state, checksummed.")
        .def_static("restore", &engine_restore, nb::arg("snapshot"), nb::arg("max_orders"), nb::arg("max_books"),
                    nb::sig("def restore(snapshot: object, max_orders: int, max_books: int) -> MatchingEngine"),
                    "Return an engine as it was; ValueError for bytes that are damaged or do not fit.")
        .def("depth", &engine_depth, nb::arg("symbol_id"), nb::arg("levels"),
             nb::sig("def depth(self, symbol_id: int, levels: int) -> "
                     "tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]"),
             "Return bids and asks, best first, as (price in units, quantity, number of orders).")
        .def("state_hash", &MatchingEngine::state_hash, nb::arg("symbol_id") = nb::none(),
             "Return the hash of everything that decides future matching, of one book or of all.")
        .def("order_count", &MatchingEngine::order_count,
             "Return how many orders are live, resting or waiting, in all books.")
        .def("last_seq", &MatchingEngine::last_seq, "Return the sequence number of the last command applied.")
        .def("stop_count", &MatchingEngine::stop_count, nb::arg("symbol_id"),
             "Return how many stops of a book wait for their price.")
        .def("indication", &engine_indication, nb::arg("symbol_id"),
             nb::sig("def indication(self, symbol_id: int) -> tuple[int, int, int] | None"),
             "Return (price in units, volume, imbalance) that an uncross would find now, or None.")
        .def("book_status", &engine_book_status, nb::arg("symbol_id"),
             nb::sig("def book_status(self, symbol_id: int) -> tuple[int, int, int, int, int, int] | None"),
             "Return (phase, mode, side of the limit state, lower band, upper band, tick), or None without a book.")
        .def("last_trade", &engine_last_trade, nb::arg("symbol_id"),
             nb::sig("def last_trade(self, symbol_id: int) -> tuple[int, int, int, int] | None"),
             "Return (price in units, quantity, time in ns, volume), or None before the first trade.");
}
