// The codes and limits of the engine, each written once and listed by name for whoever must compare them.
#pragma once

#include <cstdint>
#include <stdexcept>

// One line per enumerator: both the enum and its list of names come from it, so neither can lack a member.
#define OPENBELL_COMMAND_KINDS(X) \
    X(NEW, 1) X(CANCEL, 2) X(REPLACE, 3) X(EXPIRE, 4) X(RESTORE, 7) X(RESTORE_LAST, 8) \
    X(PHASE, 9) X(BANDS, 10) X(MODE, 11) X(OPTIONS, 12)

#define OPENBELL_SIDES(X) X(BUY, 1) X(SELL, 2)

// FIX tag 40, where TRAIL's P is not taken as a base-36 digit but as the next free number.
#define OPENBELL_ORD_TYPES(X) X(MARKET, 1) X(LIMIT, 2) X(STOP, 3) X(STOP_LIMIT, 4) X(TRAIL, 5)

#define OPENBELL_TIMES_IN_FORCE(X) X(DAY, 0) X(GTC, 1) X(OPG, 2) X(IOC, 3) X(FOK, 4) X(GTD, 6) X(CLS, 7)

#define OPENBELL_SELF_TRADE_PREVENTIONS(X) \
    X(NONE, 0) X(CANCEL_NEWEST, 1) X(CANCEL_OLDEST, 2) X(CANCEL_BOTH, 3) X(DECREMENT, 4)

// Bits of a command's flags.
#define OPENBELL_ORDER_FLAGS(X) X(POST_ONLY, 1) X(HIDDEN, 2) X(REDUCE_ONLY, 4) X(TRAIL_PERCENT, 8)

#define OPENBELL_PHASES(X) \
    X(CONTINUOUS, 1) X(PRE_OPEN, 2) X(OPENING_AUCTION, 3) X(HALTED, 4) X(PAUSED, 5) X(CLOSING_AUCTION, 6) X(CLOSED, 7)

#define OPENBELL_MODES(X) X(OPEN, 1) X(REDUCE_ONLY, 2) X(CANCEL_ONLY, 3)

// FIX codes that are letters are read as base-36 digits: C is 12, D is 13, F is 15, L is 21. Types FIX has no code for
// start at 40, those about a book at 64.
#define OPENBELL_EXEC_TYPES(X) \
    X(NEW, 0) X(CANCELED, 4) X(REPLACED, 5) X(REJECTED, 8) X(EXPIRED, 12) X(RESTORED, 13) X(TRADE, 15) \
    X(TRIGGERED, 21) X(REDUCED, 40) X(REFRESHED, 41) X(TRAILED, 42) \
    X(PHASE, 64) X(BANDS, 65) X(MODE, 66) X(OPTIONS, 67) X(LIMIT_STATE, 68) X(LEVEL, 69) X(TOP, 70)

#define OPENBELL_ORD_STATUSES(X) \
    X(NEW, 0) X(PARTIALLY_FILLED, 1) X(FILLED, 2) X(CANCELED, 4) X(REPLACED, 5) X(REJECTED, 8) X(EXPIRED, 12) \
    X(NONE, 255)

#define OPENBELL_REASONS(X) \
    X(NONE, 0) X(BAD_KIND, 1) X(BAD_SYMBOL, 2) X(BAD_FLAGS, 3) X(BAD_ORDER_ID, 4) X(BAD_SIDE, 5) \
    X(BAD_ORD_TYPE, 6) X(BAD_TIME_IN_FORCE, 7) X(BAD_SELF_TRADE_PREVENTION, 8) X(BAD_PRICE, 9) \
    X(BAD_QUANTITY, 10) X(DUPLICATE_ORDER, 11) X(UNKNOWN_ORDER, 12) X(TOO_LATE, 13) X(NOT_CONTINUOUS, 14) \
    X(BOOK_FULL, 15) X(BOOKS_FULL, 16) X(WOULD_CROSS, 17) X(BAD_STOP_PRICE, 18) X(BAD_TRAIL, 19) \
    X(BAD_DISPLAY_QUANTITY, 20) X(BAD_MIN_QUANTITY, 21) X(BAD_ARGUMENT, 22) X(BAD_BANDS, 23) X(BAD_TICK, 24) \
    X(OFF_TICK, 25) X(OUTSIDE_BAND, 26) X(REDUCE_ONLY, 27) X(CANCEL_ONLY, 28) \
    X(REQUESTED, 64) X(IOC_REMAINDER, 65) X(FOK_UNFILLABLE, 66) X(NO_LIQUIDITY, 67) X(COLLAR, 68) X(SELF_TRADE, 69) \
    X(MIN_QUANTITY, 70) X(PRICE_BAND, 71) X(AUCTION_REMAINDER, 72) X(AUCTION, 73)

#define OPENBELL_ENUMERATOR(name, code) name = code,
#define OPENBELL_NAMED_CODE(name, code) NamedCode{#name, code},

namespace openbell {

struct NamedCode {
    const char* name;
    int code;
};

enum class CommandKind : std::uint8_t { OPENBELL_COMMAND_KINDS(OPENBELL_ENUMERATOR) };
enum class Side : std::uint8_t { OPENBELL_SIDES(OPENBELL_ENUMERATOR) };
enum class OrdType : std::uint8_t { OPENBELL_ORD_TYPES(OPENBELL_ENUMERATOR) };
enum class TimeInForce : std::uint8_t { OPENBELL_TIMES_IN_FORCE(OPENBELL_ENUMERATOR) };
enum class SelfTradePrevention : std::uint8_t { OPENBELL_SELF_TRADE_PREVENTIONS(OPENBELL_ENUMERATOR) };
enum class OrderFlag : std::uint8_t { OPENBELL_ORDER_FLAGS(OPENBELL_ENUMERATOR) };
enum class Phase : std::uint8_t { OPENBELL_PHASES(OPENBELL_ENUMERATOR) };
enum class Mode : std::uint8_t { OPENBELL_MODES(OPENBELL_ENUMERATOR) };
enum class ExecType : std::uint8_t { OPENBELL_EXEC_TYPES(OPENBELL_ENUMERATOR) };
enum class OrdStatus : std::uint8_t { OPENBELL_ORD_STATUSES(OPENBELL_ENUMERATOR) };
enum class Reason : std::uint8_t { OPENBELL_REASONS(OPENBELL_ENUMERATOR) };

inline constexpr NamedCode COMMAND_KIND_CODES[] = {OPENBELL_COMMAND_KINDS(OPENBELL_NAMED_CODE)};
inline constexpr NamedCode SIDE_CODES[] = {OPENBELL_SIDES(OPENBELL_NAMED_CODE)};
inline constexpr NamedCode ORD_TYPE_CODES[] = {OPENBELL_ORD_TYPES(OPENBELL_NAMED_CODE)};
inline constexpr NamedCode TIME_IN_FORCE_CODES[] = {OPENBELL_TIMES_IN_FORCE(OPENBELL_NAMED_CODE)};
inline constexpr NamedCode SELF_TRADE_PREVENTION_CODES[] = {OPENBELL_SELF_TRADE_PREVENTIONS(OPENBELL_NAMED_CODE)};
inline constexpr NamedCode ORDER_FLAG_CODES[] = {OPENBELL_ORDER_FLAGS(OPENBELL_NAMED_CODE)};
inline constexpr NamedCode PHASE_CODES[] = {OPENBELL_PHASES(OPENBELL_NAMED_CODE)};
inline constexpr NamedCode MODE_CODES[] = {OPENBELL_MODES(OPENBELL_NAMED_CODE)};
inline constexpr NamedCode EXEC_TYPE_CODES[] = {OPENBELL_EXEC_TYPES(OPENBELL_NAMED_CODE)};
inline constexpr NamedCode ORD_STATUS_CODES[] = {OPENBELL_ORD_STATUSES(OPENBELL_NAMED_CODE)};
inline constexpr NamedCode REASON_CODES[] = {OPENBELL_REASONS(OPENBELL_NAMED_CODE)};

// A slot is an order's place in the pool; slot 0 is never given out.
using Slot = std::uint32_t;
inline constexpr Slot NO_SLOT = 0;

// Orders in a line, linked through their own `next` and `prev`.
struct Queue {
    Slot head;
    Slot tail;
};

// US rule 612: a cent from one dollar up, a hundredth of a cent below.
inline constexpr std::int32_t TICK_DEFAULT = 100;
inline constexpr std::int64_t ONE_DOLLAR_UNITS = 10'000;

inline constexpr std::int64_t PRICE_UNITS_MAX = 1'000'000'000'000'000;  // 1/10,000: a price of 100 thousand million
inline constexpr std::int64_t QUANTITY_MAX = 4'294'967'295;
inline constexpr std::uint64_t ORDER_ID_MAX = 0x7FFF'FFFF'FFFF'FFFFULL;
inline constexpr std::size_t ORDERS_MAX = 1ULL << 26;
inline constexpr std::size_t BOOKS_MAX = 1ULL << 16;
inline constexpr std::size_t BATCH_COMMANDS_MAX = 1ULL << 20;
inline constexpr std::size_t DEPTH_LEVELS_MAX = 1'000;
// How often one iceberg can be shown anew at most, and so how many events it can be good for.
inline constexpr std::int64_t DISPLAYS_MAX = 1'000;

// A code, an enumerator or a flag as it stands in a record.
template <typename Code>
constexpr std::uint8_t byte_of(Code code) { return static_cast<std::uint8_t>(code); }

constexpr Side side_opposite(Side side) { return side == Side::BUY ? Side::SELL : Side::BUY; }

// Thrown when the engine finds itself wrong. No command can cause it; whoever catches it must stop using the engine.
struct InvariantBroken : std::logic_error {
    using std::logic_error::logic_error;
};

inline void invariant(bool holds, const char* what) {
    if (!holds) [[unlikely]] throw InvariantBroken(what);
}

}  // namespace openbell
