"""The compiled book as if its process ended after every batch and began again from a snapshot."""

import numpy as np

from apps.matching.native import NativeEngine


class RestartedEngine(NativeEngine):
    """A compiled engine that nothing but its snapshot keeps from one batch to the next."""

    def __init__(self, *, max_orders: int, max_books: int) -> None:
        super().__init__(max_orders=max_orders, max_books=max_books)
        self._limits = {"max_orders": max_orders, "max_books": max_books}

    def process(self, commands: np.ndarray) -> np.ndarray:
        self._engine = NativeEngine.restore(self.snapshot(), **self._limits)._engine
        return super().process(commands)
