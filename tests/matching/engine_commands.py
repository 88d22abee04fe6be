"""Engine commands as records, from plain dictionaries of their fields."""

from collections.abc import Sequence

import numpy as np

from apps.matching.codes import COMMAND_DTYPE

SYMBOL = 7
Fields = dict[str, int]


def commands_pack(commands: Sequence[Fields]) -> np.ndarray:
    """Pack commands; without other numbers they are about SYMBOL and in sequence from 1."""
    packed = np.zeros(len(commands), dtype=COMMAND_DTYPE)
    for at, command in enumerate(commands):
        for name, value in ({"seq": at + 1, "symbol_id": SYMBOL} | command).items():
            packed[at][name] = value
    return packed
