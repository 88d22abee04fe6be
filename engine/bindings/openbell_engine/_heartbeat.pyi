"""A leader's heartbeat by native threads and datagrams."""

from collections.abc import Sequence


class Heart:
    def __init__(self, partition: int, epoch: int, backend_pid: int, interval_us: int = 2000) -> None:
        """Begin to beat; nobody hears it before `send_to`."""

    def tick(self) -> None:
        """Say that the leader's own thread moves."""

    def busy(self, is_busy: bool) -> None:
        """Say whether the leader has work, or waits for some."""

    def send_to(self, addresses: Sequence[tuple[str, int]]) -> None:
        """
        Beat for these numeric addresses and ports and no others; ValueError when one is none.
        """

    def is_realtime(self) -> bool:
        """Return whether the machine granted real-time priority."""

    def sent(self) -> int:
        """Return how many beats have been sent."""

    def gap_max_us(self) -> int:
        """Return the longest time between two beats, in microseconds."""

    def stop(self) -> None:
        """Beat no more."""

class Ear:
    def __init__(self, partition: int, host: str, port: int = 0) -> None:
        """
        Listen at a numeric address; port 0 takes a free one. RuntimeError when it cannot be had.
        """

    def port(self) -> int:
        """Return the port."""

    def listen(self, timeout_s: float, silence_s: float) -> bool:
        """
        Take in beats until the time is over or until it is silent; return whether it is.
        """

    def last(self) -> tuple[int, int, int, int, bool, bool, float, float] | None:
        """
        Return (epoch, backend pid, number, progress, busy, real time, seconds silent, seconds still).
        """
