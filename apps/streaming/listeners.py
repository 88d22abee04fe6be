"""Who listens to which symbols."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Generic, TypeVar

EVERY_SYMBOL = "*"

L = TypeVar("L")


class Listeners(Generic[L]):
    """Sets of listeners by symbol; ``*`` means every symbol."""

    def __init__(self) -> None:
        self._by_symbol: dict[str, set[L]] = defaultdict(set)

    def listen(self, listener: L, symbols: Iterable[str]) -> None:
        """Let a listener hear of these symbols and of no others."""
        self.forget(listener)
        for symbol in symbols:
            self._by_symbol[symbol].add(listener)

    def forget(self, listener: L) -> None:
        """Tell a listener nothing more."""
        for symbol in [name for name, listening in self._by_symbol.items() if listener in listening]:
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
