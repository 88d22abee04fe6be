"""The reference and the compiled book side by side on the same commands, and what to do when they differ."""

from collections.abc import Callable
from typing import Any

import numpy as np

from apps.matching.codes import COMMAND_DTYPE, CommandKind
from apps.matching.native import NativeEngine
from apps.matching.reference import ReferenceEngine
from tests.matching.flow import SYMBOLS, Flow
from tests.matching.rebuild import books_rebuild

BATCH = 200
RESTART_SHARE = 0.05


class Differ(AssertionError):
    """The two books do not agree."""


class Duel:
    """Two engines that are told the same."""

    def __init__(self, *, max_orders: int, max_books: int) -> None:
        self.limits = {"max_orders": max_orders, "max_books": max_books}
        self.reference = ReferenceEngine(**self.limits)
        self.compiled = NativeEngine(**self.limits)

    def fight(self, commands: np.ndarray) -> int:
        """Apply commands to both and compare events and state; return the number of events."""
        told, told_compiled = self.reference.process(commands), self.compiled.process(commands)
        if told.tobytes() != told_compiled.tobytes():
            raise Differ(_events_difference(told, told_compiled))
        if self.reference.state_hash() != self.compiled.state_hash():
            raise Differ("the events are the same and the state is not")
        return len(told)

    def restart(self) -> None:
        """Put the compiled engine in a snapshot and take it out again."""
        self.compiled = NativeEngine.restore(self.compiled.snapshot(), **self.limits)

    def compare_views(self, symbol_id: int) -> None:
        """Compare what the engines let one see of a book."""
        for look in ("last_trade", "indication", "book_status", "state_hash"):
            one, other = getattr(self.reference, look)(symbol_id), getattr(self.compiled, look)(symbol_id)
            if one != other:
                raise Differ(f"{look} of {symbol_id}: {one} and compiled {other}")
        if self.reference.depth(symbol_id, 20) != self.compiled.depth(symbol_id, 20):
            raise Differ(f"the depth of {symbol_id}")
        if self.reference.order_count() != self.compiled.order_count():
            raise Differ("the number of orders")

    def compare_end(self) -> None:
        for symbol_id in range(SYMBOLS + 1):
            self.compare_views(symbol_id)
        self.compare_rebuilt()

    def compare_rebuilt(self) -> None:
        """Rebuild both books by RESTORE as after a crash: the state must be the same."""
        rebuilt = Duel(**self.limits)
        rebuilt.fight(books_rebuild(self.reference))
        if rebuilt.compiled.state_hash() != self.compiled.state_hash():
            raise Differ("the state after rebuilding the books by RESTORE")


def _events_difference(told: np.ndarray, told_compiled: np.ndarray) -> str:
    at = next((n for n, (a, b) in enumerate(zip(told, told_compiled, strict=False)) if a != b), None)
    at = min(len(told), len(told_compiled)) if at is None else at
    one, other = (
        dict(zip(events.dtype.names or (), events[at].item(), strict=True)) if at < len(events) else None
        for events in (told, told_compiled)
    )
    return f"event {at}:\nreference {one}\ncompiled  {other}"


def duel_run(*, seed: list[int], commands: int, max_orders: int, max_books: int) -> dict[str, Any] | None:
    """Fight a stream from a seed; return what differs and the shortest commands that show it, or None."""
    duel, flow = Duel(max_orders=max_orders, max_books=max_books), Flow(seed)
    history: list[np.ndarray] = []
    try:
        for _ in range(0, commands, BATCH):
            if flow.random.random() < RESTART_SHARE:
                duel.restart()
            history.append(flow.batch(BATCH, duel.reference.live_orders()))
            duel.fight(history[-1])
            duel.compare_views(int(history[-1]["symbol_id"][-1]))
        duel.compare_end()
    except (Differ, RuntimeError, ValueError) as difference:
        return _difference_explain(duel.limits, np.concatenate(history), str(difference), seed)
    return None


def _difference_explain(
    limits: dict[str, int], history: np.ndarray, what: str, seed: list[int]
) -> dict[str, Any]:
    restarts = _difference_of(limits, history, False) is None
    shortest = commands_shrink(history, lambda few: _difference_of(limits, few, restarts) is not None)
    shrunk = _difference_of(limits, shortest, restarts)
    stories = [command_story(command) for command in shortest]
    return {
        "seed": seed,
        **limits,
        "what": what,
        "what_shrunk": shrunk,
        "restarts": restarts,
        "commands": stories,
    }


def _difference_of(limits: dict[str, int], commands: np.ndarray, restarts: bool) -> str | None:
    """Fight in batches, or when they are few one command at a time, perhaps with a restart before each."""
    duel, size = Duel(**limits), 1 if len(commands) <= BATCH else BATCH
    try:
        for at in range(0, len(commands), size):
            if restarts:
                duel.restart()
            duel.fight(commands[at : at + size])
        duel.compare_end()
    except (Differ, RuntimeError, ValueError) as difference:
        return str(difference)
    return None


def commands_shrink(commands: np.ndarray, is_failing: Callable[[np.ndarray], bool]) -> np.ndarray:
    """Leave out ever smaller pieces as long as the rest still fails."""
    if not is_failing(commands):
        return commands
    piece = len(commands) // 2
    while piece:
        at = 0
        while at < len(commands):
            shorter = np.delete(commands, slice(at, at + piece))
            if is_failing(shorter):
                commands = shorter
            else:
                at += piece
        piece //= 2
    return commands


def command_story(command: np.void) -> dict[str, int | str]:
    """Return a command's fields that are not zero."""
    fields = {name: int(command[name]) for name in COMMAND_DTYPE.names or () if command[name]}
    kinds = {int(kind): kind.name for kind in CommandKind}
    return fields | {"kind": kinds.get(fields.get("kind", 0), fields.get("kind", 0))}
