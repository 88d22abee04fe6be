// Commands made from bytes, eight each: most of them make sense, so that the book's depths are reached.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include "openbell/messages.hpp"

namespace fuzz {

using namespace openbell;

template <typename Enum>
bool is(std::uint8_t code, Enum value) {
    return code == static_cast<std::uint8_t>(value);
}

// What a cancel or a replace must know of the order it is about.
struct Target {
    std::uint64_t order_id;
    std::uint32_t symbol_id;
    std::uint8_t side;
    std::uint8_t ord_type;
    std::uint8_t tif;
};

class PlausibleCommands {
public:
    explicit PlausibleCommands(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

    // `target_at` gives one of the orders that are live, if there are any.
    template <typename TargetAt>
    std::optional<Command> command_next(TargetAt target_at) {
        Draw draw{};
        if (bytes_.size() < sizeof draw) return std::nullopt;
        std::memcpy(&draw, bytes_.data(), sizeof draw);
        bytes_ = bytes_.subspan(sizeof draw);
        return command_make(draw, target_at(draw.target));
    }

private:
    struct Draw {
        std::uint8_t kind;
        std::uint8_t type;
        std::uint8_t rules;
        std::int8_t price;
        std::uint8_t quantity;
        std::uint8_t target;
        std::uint8_t more;
        std::int8_t stop;
    };

    template <typename T, std::size_t N>
    static std::uint8_t pick(const T (&choices)[N], unsigned at) {
        return static_cast<std::uint8_t>(choices[at % N]);
    }

    // One in sixteen is left with whatever does not go together.
    static bool is_sensible(const Draw& draw) { return draw.rules < 0xF0; }

    Command command_make(const Draw& draw, const std::optional<Target>& target) {
        using enum CommandKind;
        static constexpr CommandKind KINDS[] = {
            NEW, NEW, NEW, NEW, NEW, NEW, NEW, NEW, NEW, NEW, NEW, NEW, NEW, NEW, NEW, NEW,
            CANCEL, CANCEL, CANCEL, REPLACE, REPLACE, REPLACE, REPLACE, EXPIRE,
            RESTORE, RESTORE_LAST, PHASE, PHASE, PHASE, BANDS, MODE, OPTIONS};
        Command command{};
        command.seq = ++seq_;
        command.kind = pick(KINDS, draw.kind);
        command.symbol_id = 1 + (draw.kind >> 5U) % 2U;
        command.owner = draw.kind >> 6U;
        switch (static_cast<CommandKind>(command.kind)) {
            case CANCEL:
            case EXPIRE: target_fill(command, draw, target); break;
            case PHASE: phase_fill(command, draw); break;
            case BANDS: bands_fill(command, draw); break;
            case MODE: mode_fill(command, draw); break;
            case OPTIONS: options_fill(command, draw); break;
            case RESTORE_LAST:
                command.price = price_at(command, draw.price);
                command.quantity = draw.quantity;
                command.cum_quantity = draw.more;
                break;
            default: order_fill(command, draw, target);
        }
        return command;
    }

    void target_fill(Command& command, const Draw& draw, const std::optional<Target>& target) const {
        if (!target || !is_sensible(draw)) {
            command.orig_order_id = 1 + draw.target % (order_count_ + 1);
            return;
        }
        command.orig_order_id = target->order_id;
        command.symbol_id = target->symbol_id;
        command.side = target->side;
        command.ord_type = target->ord_type;
        command.tif = target->tif;
    }

    void order_fill(Command& command, const Draw& draw, const std::optional<Target>& target) {
        static constexpr OrdType TYPES[] = {OrdType::LIMIT, OrdType::LIMIT, OrdType::LIMIT, OrdType::LIMIT,
                                            OrdType::MARKET, OrdType::STOP, OrdType::STOP_LIMIT, OrdType::TRAIL};
        static constexpr TimeInForce TIFS[] = {TimeInForce::DAY, TimeInForce::DAY, TimeInForce::GTC, TimeInForce::GTD,
                                               TimeInForce::IOC, TimeInForce::FOK, TimeInForce::OPG, TimeInForce::CLS};
        command.order_id = draw.target == 0xFF ? 1 + draw.more % (order_count_ + 1) : ++order_count_;
        command.side = static_cast<std::uint8_t>(1 + draw.type % 2);
        command.ord_type = pick(TYPES, draw.type >> 1U);
        command.tif = pick(TIFS, draw.type >> 4U);
        if (is(command.kind, CommandKind::REPLACE)) target_fill(command, draw, target);
        if (is_sensible(draw)) tif_correct(command);
        command.stp = draw.rules % 5;
        command.quantity = draw.quantity == 0 ? QUANTITY_MAX : draw.quantity;
        command.price = price_at(command, draw.price);
        if (is(command.kind, CommandKind::RESTORE) && draw.more % 2 == 1) command.cum_quantity = command.quantity / 2;
        if (command.ord_type >= static_cast<std::uint8_t>(OrdType::STOP)) stop_fill(command, draw);
        if (rests(command) || !is_sensible(draw)) extras_fill(command, draw);
        else if (draw.more % 4 == 0 && is_at_once(command)) command.min_quantity = shown(command, draw);
    }

    static bool rests(const Command& command) {
        return is(command.ord_type, OrdType::LIMIT) &&
               (is(command.tif, TimeInForce::DAY) || is(command.tif, TimeInForce::GTC) ||
                is(command.tif, TimeInForce::GTD));
    }

    static bool is_at_once(const Command& command) {
        return is(command.tif, TimeInForce::IOC) || is(command.tif, TimeInForce::FOK);
    }

    // Replaces a time in force that its type of order may not have.
    static void tif_correct(Command& command) {
        const bool is_new = is(command.kind, CommandKind::NEW);
        const bool is_market = is(command.ord_type, OrdType::MARKET);
        const bool is_stop = command.ord_type >= static_cast<std::uint8_t>(OrdType::STOP);
        const bool is_auction = is(command.tif, TimeInForce::OPG) || is(command.tif, TimeInForce::CLS);
        const bool is_wrong = (is_at_once(command) && !is_new) || (is_stop && (is_at_once(command) || is_auction)) ||
                              (is_market && is(command.tif, TimeInForce::GTD));
        if (is_wrong) command.tif = static_cast<std::uint8_t>(TimeInForce::GTC);
        if (is_market && !is_new && !is_auction) command.tif = static_cast<std::uint8_t>(TimeInForce::CLS);
    }

    void stop_fill(Command& command, const Draw& draw) {
        command.stop_price = price_at(command, draw.stop);
        if (is(command.ord_type, OrdType::STOP_LIMIT)) return;
        const std::int64_t width = std::int64_t{draw.price} * draw.price * 10;
        command.price = command.stop_price + (is(command.side, Side::BUY) ? width : -width);
        if (!is(command.ord_type, OrdType::TRAIL)) return;
        const bool is_percent = draw.rules >= 0x80;
        if (is_percent) command.flags |= static_cast<std::uint8_t>(OrderFlag::TRAIL_PERCENT);
        command.trail = (1U + draw.more) * (is_percent ? 20U : 50U);
        if (command.price < 1 || draw.more < 8) command.price = is(command.side, Side::BUY) ? PRICE_UNITS_MAX : 1;
    }

    void extras_fill(Command& command, const Draw& draw) {
        switch ((draw.rules >> 4U) % 8U) {
            case 1: command.flags |= static_cast<std::uint8_t>(OrderFlag::POST_ONLY); break;
            case 2: command.flags |= static_cast<std::uint8_t>(OrderFlag::HIDDEN); break;
            case 3: command.display_quantity = shown(command, draw); break;
            case 4: command.min_quantity = is(command.kind, CommandKind::NEW) ? shown(command, draw) : 0; break;
            case 5: command.flags |= static_cast<std::uint8_t>(OrderFlag::REDUCE_ONLY); break;
            case 6:
                command.display_quantity = shown(command, draw);
                command.flags |= static_cast<std::uint8_t>(OrderFlag::POST_ONLY);
                if (is(command.kind, CommandKind::RESTORE)) command.min_quantity = 1;
                break;
            default: break;
        }
    }

    static std::uint32_t shown(const Command& command, const Draw& draw) {
        return 1U + draw.more % static_cast<std::uint32_t>(std::min<std::int64_t>(command.quantity, 32));
    }

    void phase_fill(Command& command, const Draw& draw) {
        using enum Phase;
        static constexpr Phase PHASES[] = {CONTINUOUS, CONTINUOUS, CONTINUOUS, CONTINUOUS, CONTINUOUS, CONTINUOUS,
                                           PRE_OPEN, OPENING_AUCTION, OPENING_AUCTION, HALTED, PAUSED, PAUSED,
                                           CLOSING_AUCTION, CLOSING_AUCTION, CLOSED, CLOSED};
        command.argument = pick(PHASES, draw.more);
        if (draw.type % 4 == 0) command.price = price_at(command, draw.price);
    }

    void bands_fill(Command& command, const Draw& draw) {
        if (draw.type % 2 == 0) return;
        const auto [lower, upper] = std::minmax(draw.price, draw.stop);
        command.price = price_at(command, lower);
        command.stop_price = price_at(command, upper);
    }

    static void mode_fill(Command& command, const Draw& draw) {
        static constexpr Mode MODES[] = {Mode::OPEN, Mode::OPEN, Mode::OPEN, Mode::OPEN, Mode::OPEN, Mode::OPEN,
                                         Mode::OPEN, Mode::REDUCE_ONLY, Mode::OPEN, Mode::CANCEL_ONLY};
        command.argument = pick(MODES, draw.more);
    }

    static void options_fill(Command& command, const Draw& draw) {
        static constexpr int TICKS[] = {0, 0, 1, 50, 100};
        command.argument = draw.type % 4 == 0 ? 0 : 1;
        command.price = TICKS[draw.more % 5];
    }

    // The first symbol trades around 100 dollars, the second around one, where the tick changes.
    std::int64_t price_at(const Command& command, std::int8_t steps) const {
        if (steps == INT8_MIN) return 1;
        if (steps == INT8_MAX) return PRICE_UNITS_MAX;
        return command.symbol_id == 1 ? 1'000'000 + std::int64_t{steps} * 100 : 10'000 + std::int64_t{steps} * 50;
    }

    std::span<const std::uint8_t> bytes_;
    std::uint64_t seq_ = 0;
    std::uint64_t order_count_ = 0;
};

}  // namespace fuzz
