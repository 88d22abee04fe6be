// The checks of a command's own fields.
#include "openbell/command_check.hpp"

namespace openbell {

namespace {

bool is_order_id(std::uint64_t id) { return id >= 1 && id <= ORDER_ID_MAX; }

bool is_price(std::int64_t price) { return price >= 1 && price <= PRICE_UNITS_MAX; }

bool is_quantity(std::int64_t quantity) { return quantity >= 1 && quantity <= QUANTITY_MAX; }

bool is_resting_tif(std::uint8_t tif) {
    return tif == static_cast<std::uint8_t>(TimeInForce::DAY) || tif == static_cast<std::uint8_t>(TimeInForce::GTC);
}

bool is_immediate_tif(std::uint8_t tif) {
    return tif == static_cast<std::uint8_t>(TimeInForce::IOC) || tif == static_cast<std::uint8_t>(TimeInForce::FOK);
}

bool is_ord_type(const Command& command) {
    if (command.ord_type == static_cast<std::uint8_t>(OrdType::LIMIT)) return true;
    return command.ord_type == static_cast<std::uint8_t>(OrdType::MARKET) &&
           command.kind == static_cast<std::uint8_t>(CommandKind::NEW);
}

bool is_cum_quantity(const Command& command) {
    if (command.kind != static_cast<std::uint8_t>(CommandKind::RESTORE)) return command.cum_quantity == 0;
    return command.cum_quantity >= 0 && command.cum_quantity < command.quantity;
}

Reason order_check(const Command& command) {
    const bool is_new = command.kind == static_cast<std::uint8_t>(CommandKind::NEW);
    const bool is_replace = command.kind == static_cast<std::uint8_t>(CommandKind::REPLACE);
    if (!is_order_id(command.order_id)) return Reason::BAD_ORDER_ID;
    if (is_replace && !is_order_id(command.orig_order_id)) return Reason::BAD_ORDER_ID;
    if (command.side != static_cast<std::uint8_t>(Side::BUY) && command.side != static_cast<std::uint8_t>(Side::SELL))
        return Reason::BAD_SIDE;
    if (!is_ord_type(command)) return Reason::BAD_ORD_TYPE;
    if (!is_resting_tif(command.tif) && !(is_new && is_immediate_tif(command.tif))) return Reason::BAD_TIME_IN_FORCE;
    if (command.stp > static_cast<std::uint8_t>(SelfTradePrevention::CANCEL_BOTH))
        return Reason::BAD_SELF_TRADE_PREVENTION;
    if (!is_price(command.price)) return Reason::BAD_PRICE;
    if (!is_quantity(command.quantity) || !is_cum_quantity(command)) return Reason::BAD_QUANTITY;
    return Reason::NONE;
}

Reason last_check(const Command& command) {
    if (!is_price(command.price)) return Reason::BAD_PRICE;
    return is_quantity(command.quantity) && command.cum_quantity >= 0 ? Reason::NONE : Reason::BAD_QUANTITY;
}

}  // namespace

Reason command_check(const Command& command) {
    if (command.kind < static_cast<std::uint8_t>(CommandKind::NEW) ||
        command.kind > static_cast<std::uint8_t>(CommandKind::RESTORE_LAST))
        return Reason::BAD_KIND;
    if (command.symbol_id == 0) return Reason::BAD_SYMBOL;
    if (command.flags != 0) return Reason::BAD_FLAGS;
    switch (static_cast<CommandKind>(command.kind)) {
        case CommandKind::NEW:
        case CommandKind::REPLACE:
        case CommandKind::RESTORE:
            return order_check(command);
        case CommandKind::CANCEL:
        case CommandKind::EXPIRE:
            return is_order_id(command.orig_order_id) ? Reason::NONE : Reason::BAD_ORDER_ID;
        case CommandKind::RESTORE_LAST:
            return last_check(command);
        case CommandKind::HALT:
        case CommandKind::RESUME:
            break;
    }
    return Reason::NONE;
}

}  // namespace openbell
