// Measures the engine on a mix of passive orders, cancels, marketable limits and market orders, one symbol.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <unordered_map>
#include <vector>

#include "openbell/matching_engine.hpp"

namespace {

using openbell::Command;
using openbell::CommandKind;
using openbell::Event;
using openbell::ExecType;
using openbell::MatchingEngine;
using openbell::Side;

constexpr std::size_t COMMANDS = 2'000'000;
constexpr std::size_t BATCH = 200;
constexpr std::int64_t MIDDLE = 1'000'000;
constexpr std::int64_t TICK = 100;
constexpr std::uint64_t LEVELS = 63;

// Splitmix: the flow must be the same on every machine.
class Random {
public:
    std::uint64_t below(std::uint64_t limit) {
        state_ += 0x9E37'79B9'7F4A'7C15ULL;
        std::uint64_t mixed = state_;
        mixed = (mixed ^ (mixed >> 30U)) * 0xBF58'476D'1CE4'E5B9ULL;
        mixed = (mixed ^ (mixed >> 27U)) * 0x94D0'49BB'1331'11EBULL;
        return (mixed ^ (mixed >> 31U)) % limit;
    }

private:
    std::uint64_t state_ = 20'260'101;
};

// Knows which orders are live, so that cancels hit.
class LiveOrders {
public:
    void order_add(std::uint64_t id) {
        place_[id] = ids_.size();
        ids_.push_back(id);
    }
    void order_remove(std::uint64_t id) {
        const auto found = place_.find(id);
        if (found == place_.end()) return;
        ids_[found->second] = ids_.back();
        place_[ids_.back()] = found->second;
        ids_.pop_back();
        place_.erase(id);
    }
    std::size_t count() const { return ids_.size(); }
    std::uint64_t at(std::size_t place) const { return ids_[place]; }

private:
    std::vector<std::uint64_t> ids_;
    std::unordered_map<std::uint64_t, std::size_t> place_;
};

Command order_make(std::uint64_t id, Random& random, bool is_aggressive) {
    Command command{};
    command.order_id = command.seq = id;
    command.symbol_id = 1;
    command.owner = 1 + random.below(100'000);
    command.stp = static_cast<std::uint8_t>(openbell::SelfTradePrevention::CANCEL_NEWEST);
    command.kind = static_cast<std::uint8_t>(CommandKind::NEW);
    command.ord_type = static_cast<std::uint8_t>(openbell::OrdType::LIMIT);
    const Side side = random.below(2) == 0 ? Side::BUY : Side::SELL;
    command.side = static_cast<std::uint8_t>(side);
    const auto away = static_cast<std::int64_t>(1 + random.below(LEVELS)) * TICK;
    command.price = (side == Side::BUY) == is_aggressive ? MIDDLE + away : MIDDLE - away;
    command.quantity = 1 + static_cast<std::int64_t>(random.below(100));
    return command;
}

// 55 % passive, 35 % cancels, 7 % marketable immediate-or-cancel limits, 3 % market orders. Each aggressive order takes
// two passive ones on average, and more when more are resting, so the flow keeps about as many as were laid down first.
std::vector<Command> flow_make(std::size_t resting, std::size_t count) {
    std::vector<Command> flow;
    flow.reserve(resting + count);
    MatchingEngine engine(resting * 2 + 200'000, 1);
    LiveOrders live;
    Random random;
    for (std::uint64_t id = 1; flow.size() < resting + count; ++id) {
        const bool is_filling = flow.size() < resting;
        const std::uint64_t choice = is_filling ? 0 : random.below(100);
        const bool is_cancel = choice >= 55 && choice < 90 && live.count() > 0;
        Command command{};
        if (is_cancel) {
            command.kind = static_cast<std::uint8_t>(CommandKind::CANCEL);
            command.symbol_id = 1;
            command.seq = id;
            command.orig_order_id = live.at(random.below(live.count()));
        } else {
            command = order_make(id << 12U, random, choice >= 90);
            if (choice >= 90) {
                command.tif = static_cast<std::uint8_t>(openbell::TimeInForce::IOC);
                command.quantity = 1 + static_cast<std::int64_t>(random.below(200) * live.count() / resting);
            }
            if (choice >= 97) command.ord_type = static_cast<std::uint8_t>(openbell::OrdType::MARKET);
        }
        flow.push_back(command);
        for (const Event& event : engine.process({&command, 1})) {
            const auto type = static_cast<ExecType>(event.exec_type);
            if (type == ExecType::NEW && command.tif == 0) live.order_add(event.order_id);
            if (type == ExecType::CANCELED) live.order_remove(event.order_id);
            if (type == ExecType::TRADE && event.contra_leaves_qty == 0) live.order_remove(event.contra_order_id);
        }
    }
    std::fprintf(stderr, "flow of %zu commands leaves %zu orders resting\n", flow.size(), live.count());
    return flow;
}

double cpu_seconds() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

struct Filled {
    explicit Filled(const std::vector<Command>& flow, std::size_t resting) : engine(resting * 2 + 200'000, 1) {
        for (std::size_t at = 0; at < resting; at += BATCH)
            engine.process({&flow[at], std::min(BATCH, resting - at)});
    }
    MatchingEngine engine;
};

double throughput(const std::vector<Command>& flow, std::size_t resting) {
    Filled filled(flow, resting);
    std::size_t events = 0;
    const double start = cpu_seconds();
    for (std::size_t at = resting; at < flow.size(); at += BATCH)
        events += filled.engine.process({&flow[at], std::min(BATCH, flow.size() - at)}).size();
    const double seconds = cpu_seconds() - start;
    std::fprintf(stderr, "%zu events\n", events);
    return static_cast<double>(flow.size() - resting) / seconds / 1e6;
}

void latencies(const std::vector<Command>& flow, std::size_t resting) {
    using Clock = std::chrono::steady_clock;
    Filled filled(flow, resting);
    std::vector<std::int64_t> times;
    times.reserve(flow.size() - resting);
    for (std::size_t at = resting; at < flow.size(); ++at) {
        const auto start = Clock::now();
        filled.engine.process({&flow[at], 1});
        times.push_back(std::chrono::nanoseconds(Clock::now() - start).count());
    }
    std::ranges::sort(times);
    const auto share = [&](double part) { return times[static_cast<std::size_t>(part * static_cast<double>(times.size()))]; };
    std::printf("p50_ns %ld\np99_ns %ld\np999_ns %ld\n", share(0.5), share(0.99), share(0.999));
}

}  // namespace

int main(int count, char** arguments) {
    const std::size_t resting = count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 2'900;
    const std::vector<Command> flow = flow_make(resting, COMMANDS);
    double best = 0;
    for (int round = 0; round < 5; ++round) best = std::max(best, throughput(flow, resting));
    std::printf("resting %zu\nm_commands_per_s %.2f\n", resting, best);
    latencies(flow, resting);
    return 0;
}
