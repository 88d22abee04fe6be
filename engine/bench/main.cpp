// Measures the engine beside its yardstick; prints one JSON object of figures.
#include <cstring>
#include <span>
#include <string>
#include <utility>

#include "flow.hpp"
#include "measure.hpp"
#include "openbell/arena.hpp"
#include "openbell/matching_engine.hpp"

namespace {

using namespace bench;
using openbell::Event;
using openbell::ExecType;
using openbell::MatchingEngine;

constexpr std::size_t BATCH = 1'000;  // as many as are sent from Python

struct Figure {
    std::string name;
    double value;
};

std::vector<Figure> figures;

void figure_add(const std::string& name, double value) {
    figures.push_back({name, value});
    std::fprintf(stderr, "  %-36s %16.3f\n", name.c_str(), value);
}

void figures_print() {
    std::printf("{");
    for (std::size_t at = 0; at < figures.size(); ++at)
        std::printf("%s\"%s\": %.6g", at == 0 ? "" : ", ", figures[at].name.c_str(), figures[at].value);
    std::printf("}\n");
}

// One of the two matchers, with the flow's first orders laid down.
class Engine {
public:
    Engine(const Shape& shape, std::span<const Command> commands)
        : engine_(shape.resting + shape.resting / 2 + 10'000, shape.symbols) {
        batches_process(commands.first(shape.resting));
    }

    void batches_process(std::span<const Command> commands) {
        for (; commands.size() > BATCH; commands = commands.subspan(BATCH)) engine_.process(commands.first(BATCH));
        engine_.process(commands);
    }
    void command_process(const Command& command) { engine_.process({&command, 1}); }
    MatchingEngine& engine() { return engine_; }

private:
    MatchingEngine engine_;
};

class Yardstick {
public:
    Yardstick(const Shape& shape, std::span<const Command> commands)
        : orders_(shape.resting + shape.commands + 1), trades_(BATCH * TRADES_A_COMMAND), matcher_(orders_.data()) {
        // Huge pages as the engine has, all of them touched before time is taken.
        std::fill_n(orders_.data(), shape.resting + shape.commands + 1, BareMatcher::Order{});
        batches_process(commands.first(shape.resting));
    }

    void batches_process(std::span<const Command> commands) {
        for (std::size_t at = 0; at < commands.size();) {
            Trade* trades = trades_.data();
            for (const std::size_t end = std::min(at + BATCH, commands.size()); at < end; ++at)
                trades = matcher_.process(commands[at], trades);
            trades_end_ = trades;
        }
    }
    void command_process(const Command& command) { trades_end_ = matcher_.process(command, trades_.data()); }

private:
    static constexpr std::size_t TRADES_A_COMMAND = 1'000;

    openbell::Arena<BareMatcher::Order> orders_;
    std::vector<Trade> trades_;
    BareMatcher matcher_;
    Trade* volatile trades_end_ = nullptr;  // or the compiler would see that nobody reads the trades
};

// Every trade of the whole flow must be the yardstick's, or the figures compare different work.
class TradesCheck {
public:
    explicit TradesCheck(const Flow& flow) : flow_(flow) {}

    void event_check(const Event& event) {
        if (event.exec_type == static_cast<std::uint8_t>(ExecType::REJECTED))
            throw std::logic_error("a command was rejected");
        if (event.exec_type != static_cast<std::uint8_t>(ExecType::TRADE)) return;
        if (count_ == flow_.trades.size()) throw std::logic_error("a trade too many");
        const Trade& expected = flow_.trades[count_++];
        if (event.order_id != flow_.ids[expected.taker] || event.contra_order_id != flow_.ids[expected.maker] ||
            event.price != expected.price || static_cast<std::int64_t>(event.quantity) != expected.quantity)
            throw std::logic_error("a trade differs from the yardstick's");
    }
    void end_check(const MatchingEngine& engine) const {
        if (count_ != flow_.trades.size()) throw std::logic_error("a trade too few");
        if (engine.order_count() != flow_.resting_at_end)
            throw std::logic_error("other orders rest than the yardstick's");
    }

private:
    const Flow& flow_;
    std::size_t count_ = 0;
};

void trades_check(const Flow& flow, std::span<const Command> commands) {
    Engine filled(flow.shape, commands);
    TradesCheck check(flow);
    for (std::size_t at = flow.shape.resting; at < commands.size(); at += BATCH) {
        const auto batch = commands.subspan(at, std::min(BATCH, commands.size() - at));
        for (const Event& event : filled.engine().process(batch)) check.event_check(event);
    }
    check.end_check(filled.engine());
}

template <typename Matcher>
double commands_per_second(const Shape& shape, std::span<const Command> commands) {
    Matcher matcher(shape, commands);
    const double start = cpu_seconds();
    matcher.batches_process(commands.subspan(shape.resting));
    return static_cast<double>(shape.commands) / (cpu_seconds() - start);
}

// A batch of one for every command, from tick to tick, nothing taken off for the clock.
template <typename Matcher>
std::vector<double> latencies_ns(const Shape& shape, std::span<const Command> commands, double ns_per_tick) {
    Matcher matcher(shape, commands);
    std::vector<std::uint64_t> times;
    times.reserve(shape.commands);
    for (const Command& command : commands.subspan(shape.resting)) {
        const std::uint64_t start = ticks_now();
        matcher.command_process(command);
        times.push_back(ticks_now() - start);
    }
    std::ranges::sort(times);
    std::vector<double> shares;
    for (const std::size_t per_mille : {500U, 990U, 999U})
        shares.push_back(static_cast<double>(times[times.size() * per_mille / 1'000]) * ns_per_tick);
    return shares;
}

template <typename Matcher>
void latencies_add(const std::string& prefix, const Shape& shape, std::span<const Command> commands) {
    const double ns_per_tick = nanoseconds_per_tick();
    std::vector<double> rounds[3];
    for (int round = 0; round < ROUNDS; ++round) {
        const std::vector<double> shares = latencies_ns<Matcher>(shape, commands, ns_per_tick);
        for (std::size_t at = 0; at < 3; ++at) rounds[at].push_back(shares[at]);
    }
    const char* names[] = {"p50_ns", "p99_ns", "p999_ns"};
    for (std::size_t at = 0; at < 3; ++at) figure_add(prefix + names[at], median(rounds[at]));
}

void rates_add(const std::string& name, const std::vector<double>& rates) {
    figure_add(name, median(rates));
    figure_add(name + "_min", std::ranges::min(rates));
    figure_add(name + "_max", std::ranges::max(rates));
}

void mix_measure() {
    const Flow flow = flow_make({});
    const std::vector<Command> commands = commands_with_ids(flow);
    trades_check(flow, commands);
    std::fprintf(stderr, "the mix: %zu trades, all as the yardstick's\n", flow.trades.size());
    std::vector<double> engine;
    std::vector<double> yardstick;
    for (int round = 0; round < ROUNDS; ++round) {
        engine.push_back(commands_per_second<Engine>(flow.shape, commands));
        yardstick.push_back(commands_per_second<Yardstick>(flow.shape, flow.commands));
    }
    rates_add("cpp_commands_per_s", engine);
    rates_add("yardstick_commands_per_s", yardstick);
    latencies_add<Engine>("", flow.shape, commands);
    latencies_add<Yardstick>("yardstick_", flow.shape, flow.commands);
}

void shape_measure(const std::string& name, const Shape& shape) {
    const Flow flow = flow_make(shape);
    const std::vector<Command> commands = commands_with_ids(flow);
    trades_check(flow, commands);
    std::vector<double> engine;
    std::vector<double> yardstick;
    for (int round = 0; round < ROUNDS; ++round) {
        engine.push_back(commands_per_second<Engine>(shape, commands));
        if (shape.symbols == 1) yardstick.push_back(commands_per_second<Yardstick>(shape, flow.commands));
    }
    figure_add(name, median(engine));
    if (shape.symbols == 1) figure_add("yardstick_" + name, median(yardstick));
}

void sizes_measure() {
    std::fprintf(stderr, "orders resting\n");
    for (const std::size_t resting : {1'000U, 10'000U, 100'000U, 1'000'000U})
        shape_measure("resting_" + std::to_string(resting) + "_per_s", {resting, COMMANDS, 1});
}

void symbols_measure() {
    std::fprintf(stderr, "symbols, 100,000 orders resting in all\n");
    for (const std::uint32_t symbols : {1U, 100U, 5'000U})
        shape_measure("symbols_" + std::to_string(symbols) + "_per_s", {100'000, COMMANDS, symbols});
}

void memory_measure() {
    std::fprintf(stderr, "memory\n");
    const std::size_t resting = 1'000'000;
    const std::vector<Command> commands = commands_with_ids(flow_make({resting, 0, 1}));
    const double before = resident_bytes();
    Engine filled({resting, 0, 1}, commands);
    figure_add("bytes_per_resting_order", (resident_bytes() - before) / static_cast<double>(resting));

    const std::size_t books = 50'000;
    const double empty = resident_bytes();
    MatchingEngine engine(1'000, books);
    Command command{};
    command.kind = static_cast<std::uint8_t>(openbell::CommandKind::OPTIONS);
    for (command.symbol_id = 1; command.symbol_id <= books; ++command.symbol_id) engine.process({&command, 1});
    figure_add("bytes_per_empty_book", (resident_bytes() - empty) / static_cast<double>(books));
}

void snapshot_measure() {
    std::fprintf(stderr, "snapshot of 1,000,000 orders\n");
    const std::size_t resting = 1'000'000;
    const std::vector<Command> commands = commands_with_ids(flow_make({resting, 0, 1}));
    Engine filled({resting, 0, 1}, commands);
    std::vector<double> writing_ms;
    std::vector<double> reading_ms;
    std::size_t size = 0;
    for (int round = 0; round < ROUNDS; ++round) {
        const double start = cpu_seconds();
        const openbell::Snapshot snapshot = filled.engine().snapshot();
        const double written = cpu_seconds();
        const auto restored = MatchingEngine::restore(snapshot.bytes(), resting, 1);
        reading_ms.push_back((cpu_seconds() - written) * 1e3);
        writing_ms.push_back((written - start) * 1e3);
        size = snapshot.size;
        if (restored->order_count() != resting) throw std::logic_error("the restored engine lacks orders");
        if (round == 0 && restored->state_hash() != filled.engine().state_hash())
            throw std::logic_error("the restored engine is another");
    }
    figure_add("snapshot_1m_ms", median(writing_ms));
    figure_add("restore_1m_ms", median(reading_ms));
    figure_add("snapshot_bytes_per_order", static_cast<double>(size) / static_cast<double>(resting));
}

struct Section {
    const char* name;
    void (*measure)();
};

constexpr Section SECTIONS[] = {{"mix", mix_measure}, {"sizes", sizes_measure}, {"symbols", symbols_measure},
                                {"memory", memory_measure},
                                {"snapshot", snapshot_measure}};

void flow_write(const char* path) {
    const std::vector<Command> commands = commands_with_ids(flow_make({}));
    std::FILE* file = std::fopen(path, "wb");
    if (file == nullptr) throw std::runtime_error("the flow cannot be written");
    const std::size_t written = std::fwrite(commands.data(), sizeof(Command), commands.size(), file);
    if (std::fclose(file) != 0 || written != commands.size()) throw std::runtime_error("the flow cannot be written");
    std::printf("{\"resting\": %zu, \"seed\": %llu}\n", RESTING, static_cast<unsigned long long>(SEED));
}

void sections_measure(std::span<char*> names) {
    std::fprintf(stderr, "pinned to core %zu\n", core_pin());
    for (const Section& section : SECTIONS) {
        const auto is_named = [&section](const char* name) { return std::strcmp(name, section.name) == 0; };
        if (names.empty() || std::ranges::any_of(names, is_named)) section.measure();
    }
    figures_print();
}

}  // namespace

// usage: openbell_bench [section...] | flow <file>
int main(int count, char** arguments) {
    try {
        if (count == 3 && std::strcmp(arguments[1], "flow") == 0) flow_write(arguments[2]);
        else sections_measure({arguments + 1, static_cast<std::size_t>(count) - 1});
    } catch (const std::exception& error) {
        std::fprintf(stderr, "openbell_bench: %s\n", error.what());
        return 1;
    }
    return 0;
}
