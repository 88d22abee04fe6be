// One short story for each feature; all of them in full are told to this book and the reference from Python.
#include "check.hpp"
#include "commands.hpp"

using namespace commands;
using openbell::ExecType;
using openbell::MatchingEngine;
using openbell::OrderFlag;
using openbell::OrdType;
using openbell::Phase;
using openbell::Reason;
using openbell::TimeInForce;

namespace {

std::uint8_t byte(auto code) { return static_cast<std::uint8_t>(code); }

Command with_tif(Command command, TimeInForce tif) {
    command.tif = byte(tif);
    return command;
}

Command with_flag(Command command, OrderFlag flag) {
    command.flags = byte(flag);
    return command;
}

Command iceberg(Side side, std::uint64_t order_id, std::int64_t quantity, std::uint32_t display, std::int64_t price) {
    Command command = limit(side, order_id, quantity, price);
    command.display_quantity = display;
    return command;
}

bool was_refused(const std::vector<Event>& events, Reason reason) {
    return events.size() == 1 && is(events[0], ExecType::REJECTED) && events[0].reason == byte(reason);
}

}  // namespace

TEST(features, iceberg_shows_anew_behind_the_displayed) {
    MatchingEngine engine(10, 1);
    run(engine, {iceberg(Side::SELL, 1, 10, 4, 1'000'000), limit(Side::SELL, 2, 5, 1'000'000)});
    CHECK(engine.depth(1, Side::SELL, 1).at(0).quantity == 9);
    const auto events = run(engine, {limit(Side::BUY, 3, 6, 1'000'000)});
    CHECK(events.size() == 4);
    CHECK(is(events[1], ExecType::TRADE) && events[1].contra_order_id == 1 && events[1].quantity == 4);
    CHECK(is(events[2], ExecType::REFRESHED) && events[2].order_id == 1 && events[2].quantity == 4);
    CHECK(is(events[3], ExecType::TRADE) && events[3].contra_order_id == 2 && events[3].quantity == 2);
}

TEST(features, iceberg_of_too_many_displays_is_refused) {
    MatchingEngine engine(10, 1);
    CHECK(was_refused(run(engine, {iceberg(Side::SELL, 1, 1'001, 1, 1'000'000)}), Reason::BAD_DISPLAY_QUANTITY));
    CHECK(!was_refused(run(engine, {iceberg(Side::SELL, 1, 1'000, 1, 1'000'000)}), Reason::BAD_DISPLAY_QUANTITY));
}

TEST(features, hidden_order_trades_last_and_is_not_shown) {
    MatchingEngine engine(10, 1);
    run(engine, {with_flag(limit(Side::SELL, 1, 5, 1'000'000), OrderFlag::HIDDEN), limit(Side::SELL, 2, 5, 1'000'000)});
    CHECK(engine.depth(1, Side::SELL, 5).at(0).quantity == 5);
    const auto events = run(engine, {limit(Side::BUY, 3, 6, 1'000'000)});
    CHECK(events.at(1).contra_order_id == 2 && events.at(2).contra_order_id == 1);
    CHECK(engine.depth(1, Side::SELL, 5).empty() && engine.order_count() == 1);
    CHECK(engine.quote(1)->ask_price == 0);
}

TEST(features, post_only_never_takes) {
    MatchingEngine engine(10, 1);
    run(engine, {limit(Side::SELL, 1, 5, 1'000'000)});
    const Command post_only = with_flag(limit(Side::BUY, 2, 5, 1'000'000), OrderFlag::POST_ONLY);
    CHECK(was_refused(run(engine, {post_only}), Reason::WOULD_CROSS));
}

TEST(features, stops_elect_one_another_until_none_is_left) {
    MatchingEngine engine(20, 1);
    run(engine, {limit(Side::BUY, 1, 1, 1'000'000), limit(Side::BUY, 2, 1, 990'000), limit(Side::BUY, 3, 1, 980'000),
                 stop(Side::SELL, 4, 1, 1'000'000, 900'000), stop(Side::SELL, 5, 1, 990'000, 900'000)});
    CHECK(engine.stop_count(1) == 2);
    const auto events = run(engine, {with_tif(limit(Side::SELL, 6, 1, 1'000'000), TimeInForce::IOC)});
    CHECK(events.size() == 6);
    CHECK(is(events[2], ExecType::TRIGGERED) && events[2].order_id == 4 && events[2].price == 1'000'000);
    CHECK(is(events[3], ExecType::TRADE) && events[3].price == 990'000);
    CHECK(is(events[4], ExecType::TRIGGERED) && events[4].order_id == 5);
    CHECK(is(events[5], ExecType::TRADE) && events[5].price == 980'000);
    CHECK(engine.order_count() == 0 && engine.stop_count(1) == 0);
}

TEST(features, trail_follows_the_last_price_and_then_stops) {
    MatchingEngine engine(20, 1);
    Command trail = stop(Side::SELL, 1, 1, 1'000'000, 900'000);
    trail.ord_type = byte(OrdType::TRAIL);
    trail.trail = 5'000;
    run(engine, {trail, limit(Side::SELL, 2, 1, 1'010'000)});
    const auto events = run(engine, {limit(Side::BUY, 3, 1, 1'010'000)});
    CHECK(events.size() == 3 && is(events[2], ExecType::TRAILED));
    CHECK(events[2].price == 1'010'000 && events[2].quantity == 1'005'000);
    run(engine, {limit(Side::BUY, 4, 5, 1'005'000)});
    const auto after = run(engine, {limit(Side::SELL, 5, 1, 1'005'000)});
    CHECK(is(after.at(2), ExecType::TRIGGERED) && is(after.at(3), ExecType::TRADE) && after[3].order_id == 1);
}

TEST(features, opening_auction_is_indicated_and_uncrosses_at_one_price) {
    MatchingEngine engine(20, 1);
    run(engine, {phase(Phase::PRE_OPEN), limit(Side::BUY, 1, 10, 1'010'000), limit(Side::SELL, 2, 4, 990'000),
                 with_tif(limit(Side::SELL, 3, 4, 1'000'000), TimeInForce::OPG)});
    const auto indicated = engine.indication(1);
    CHECK(indicated.has_value() && indicated->volume == 8 && indicated->imbalance == 2);
    const auto events = run(engine, {phase(Phase::CONTINUOUS)});
    CHECK(is(events.at(1), ExecType::TRADE) && is(events.at(2), ExecType::TRADE));
    CHECK(events[1].price == indicated->price && events[2].price == indicated->price);
    CHECK(events[1].reason == byte(Reason::AUCTION) && engine.order_count() == 1);
}

TEST(features, bands_hold_orders_and_tell_of_the_limit_state) {
    MatchingEngine engine(20, 1);
    Command bands = book(CommandKind::BANDS);
    bands.price = 950'000;
    bands.stop_price = 1'050'000;
    run(engine, {bands});
    CHECK(was_refused(run(engine, {limit(Side::BUY, 1, 1, 1'050'100)}), Reason::OUTSIDE_BAND));
    const auto events = run(engine, {limit(Side::BUY, 2, 1, 1'050'000)});
    CHECK(is(events.at(1), ExecType::LIMIT_STATE) && events[1].side == byte(Side::BUY));
    CHECK(engine.book_status(1)->limit_side == byte(Side::BUY));
}

TEST(features, published_levels_are_those_that_changed) {
    MatchingEngine engine(20, 1);
    Command options = book(CommandKind::OPTIONS);
    options.argument = 1;
    run(engine, {options, limit(Side::SELL, 1, 5, 1'000'000), limit(Side::SELL, 2, 5, 1'000'100)});
    const auto events = run(engine, {with_tif(limit(Side::BUY, 3, 7, 1'000'100), TimeInForce::IOC)});
    CHECK(events.size() == 6);
    CHECK(is(events[3], ExecType::LEVEL) && events[3].price == 1'000'000 && events[3].quantity == 0);
    CHECK(is(events[4], ExecType::LEVEL) && events[4].price == 1'000'100 && events[4].quantity == 3);
    CHECK(is(events[5], ExecType::TOP) && events[5].price == 1'000'100 && events[5].quantity == 3);
}

TEST(features, refused_command_opens_no_book) {
    MatchingEngine engine(20, 1);
    Command off_tick = limit(Side::BUY, 1, 1, 1'000'001);
    CHECK(was_refused(run(engine, {off_tick}), Reason::OFF_TICK));
    CHECK(!engine.book_status(1).has_value() && !engine.quote(1).has_value());
    Command other = limit(Side::BUY, 1, 1, 1'000'000);
    other.symbol_id = 2;
    CHECK(is(run(engine, {other}).at(0), ExecType::NEW));
}
