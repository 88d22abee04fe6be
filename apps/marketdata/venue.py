"""How this exchange names itself, its tapes and its conditions to published clients."""

VENUE = "V"
"""The one letter by which trades and quotes name this exchange."""

VENUE_NAME = "Openbell"
TAPES = {"NYSE": "A", "NASDAQ": "C"}
TAPE_OTHER = "B"

TRADE_CONDITIONS = {"@": "Regular Sale"}
QUOTE_CONDITIONS = {"R": "Regular, Two Sided Open"}


_NUMBER_MASK = 2**53 - 1


def trade_number(trade_id: int) -> int:
    """Return a trade's published number: the low 53 bits of its id, for clients that read numbers as doubles.

    A symbol's numbers repeat after 49 days at the earliest.
    """
    return trade_id & _NUMBER_MASK


def tape_of(exchange: str) -> str:
    """Return the letter of the tape on which a listing's trades are told."""
    return TAPES.get(exchange, TAPE_OTHER)
