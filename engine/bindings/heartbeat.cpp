// The Python door of the heartbeat: nothing in it waits while it holds the interpreter's lock.
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "../heartbeat/ear.hpp"
#include "../heartbeat/heart.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using openbell::heartbeat::Beat;
using openbell::heartbeat::Ear;
using openbell::heartbeat::Heart;

constexpr double SECONDS_MAX = 3600.0;

std::chrono::microseconds microseconds(double seconds) {
    if (!(seconds >= 0 && seconds <= SECONDS_MAX)) throw std::invalid_argument("seconds must be from 0 to 3600");
    return std::chrono::microseconds(static_cast<std::int64_t>(seconds * 1e6));
}

double seconds(std::chrono::microseconds time) { return static_cast<double>(time.count()) / 1e6; }

nb::object ear_last(const Ear& ear) {
    if (!ear.last().has_value()) return nb::none();
    const Beat& beat = *ear.last();
    return nb::make_tuple(beat.epoch, beat.backend_pid, beat.number, beat.progress, beat.is_busy != 0,
                          beat.is_realtime != 0, seconds(ear.silent_for()), seconds(ear.still_for()));
}

}  // namespace

NB_MODULE(_heartbeat, module) {
    module.doc() = "A leader's heartbeat by native threads and datagrams.";
    nb::class_<Heart>(module, "Heart")
        .def(nb::init<std::uint16_t, std::int32_t, std::int32_t, std::uint32_t>(), "partition"_a, "epoch"_a,
             "backend_pid"_a, "interval_us"_a = 2000, "Begin to beat; nobody hears it before `send_to`.")
        .def("tick", &Heart::tick, "Say that the leader's own thread moves.")
        .def("busy", &Heart::busy, "is_busy"_a, "Say whether the leader has work, or waits for some.")
        .def("send_to", &Heart::send_to, "addresses"_a,
             "Beat for these numeric addresses and ports and no others; ValueError when one is none.")
        .def("is_realtime", &Heart::is_realtime, "Return whether the machine granted real-time priority.")
        .def("sent", &Heart::sent, "Return how many beats have been sent.")
        .def("gap_max_us", &Heart::gap_max_us, "Return the longest time between two beats, in microseconds.")
        .def("stop", &Heart::stop, nb::call_guard<nb::gil_scoped_release>(), "Beat no more.");
    nb::class_<Ear>(module, "Ear")
        .def(nb::init<std::uint16_t, const std::string&, std::uint16_t>(), "partition"_a, "host"_a, "port"_a = 0,
             "Listen at a numeric address; port 0 takes a free one. RuntimeError when it cannot be had.")
        .def("port", &Ear::port, "Return the port.")
        .def("listen", [](Ear& ear, double timeout_s, double silence_s) {
                 const auto timeout = microseconds(timeout_s);
                 const auto silence = microseconds(silence_s);
                 const nb::gil_scoped_release release;
                 return ear.listen(timeout, silence);
             }, "timeout_s"_a, "silence_s"_a,
             "Take in beats until the time is over or until it is silent; return whether it is.")
        .def("last", &ear_last,
             nb::sig("def last(self) -> tuple[int, int, int, int, bool, bool, float, float] | None"),
             "Return (epoch, backend pid, number, progress, busy, real time, seconds silent, seconds still).");
}
