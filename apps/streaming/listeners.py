"""Who listens to which symbols."""

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Generic, TypeVar

EVERY_SYMBOL = "*"
_SYMBOL = re.compile(r"[A-Za-z0-9./-]{1,10}")

L = TypeVar("L")


def symbol_is_possible(value: object) -> bool:
    """Return whether what a client sent can name a listed symbol; databases and Redis see nothing else."""
    return isinstance(value, str) and _SYMBOL.fullmatch(value) is not None


class Listeners(Generic[L]):
    """Sets of listeners by symbol; ``*`` means every symbol."""

    def __init__(self) -> None:
        self._by_symbol: dict[str, set[L]] = defaultdict(set)
        self._heard: dict[L, set[str]] = {}

    def listen(self, listener: L, symbols: Iterable[str]) -> None:
        """Let a listener hear of these symbols and of no others."""
        self.forget(listener)
        self._heard[listener] = set(symbols)
        for symbol in self._heard[listener]:
            self._by_symbol[symbol].add(listener)

    def forget(self, listener: L) -> None:
        """Tell a listener nothing more."""
        for symbol in self._heard.pop(listener, ()):
            self._by_symbol[symbol].discard(listener)
            if not self._by_symbol[symbol]:
                del self._by_symbol[symbol]

    def of(self, symbol: str) -> list[L]:
        """Return who hears of a symbol, each once."""
        found = self._by_symbol.get(symbol, set()) | self._by_symbol.get(EVERY_SYMBOL, set())
        return list(found)

    def symbols(self) -> set[str]:
        """Return every symbol that somebody listens to, ``*`` among them if somebody hears all."""
        return set(self._by_symbol)
