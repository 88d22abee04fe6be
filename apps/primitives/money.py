"""Exact money: Decimals in, Decimals out, with every rounding named."""

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

from apps.primitives.errors import Invalid

PRICE_SCALE = 10_000
"""Price units per dollar: the engine and the database agree on four decimals."""

CENT = Decimal("0.01")
PRICE_QUANTUM = Decimal("0.0001")
MONEY_MAX = Decimal("9999999999999.99")
"""The largest amount a NUMERIC(15,2) column can hold."""
PRICE_MAX = Decimal("999999.9999")
"""The largest price a NUMERIC(10,4) column can hold."""
QUANTITY_MAX = 10_000_000
"""Largest share quantity of one order."""

_TEXT_LENGTH_MAX = 40


def decimal_parse(value: object, field: str) -> Decimal:
    """Read a finite Decimal from a JSON string or number without any float arithmetic.

    Raises ``Invalid`` (reason ``bad_number``) for anything else, NaN and Infinity included. A JSON
    number arrives here as ``int`` or as the ``Decimal`` the parser made; a float is refused.
    """
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise Invalid("bad_number", f"{field} must be a number.", field=field)
    text = str(value).strip()
    if not text.isascii() or len(text) > _TEXT_LENGTH_MAX or "_" in text:
        raise Invalid("bad_number", f"{field} must be a plain decimal number.", field=field)
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise Invalid("bad_number", f"{field} must be a plain decimal number.", field=field) from None
    if not number.is_finite():
        raise Invalid("bad_number", f"{field} must be a finite number.", field=field)
    return number


def quantity_parse(value: object, field: str = "qty") -> int:
    """Read a whole, positive share quantity; ``1.0`` reads as 1, a fraction is refused."""
    number = decimal_parse(value, field)
    if number <= 0:
        raise Invalid("bad_quantity", f"{field} must be greater than zero.", field=field)
    if number > QUANTITY_MAX:
        raise Invalid("bad_quantity", f"{field} must be at most {QUANTITY_MAX:,}.", field=field)
    if number != number.to_integral_value():
        raise Invalid("fractional_quantity", f"{field} must be a whole number of shares.", field=field)
    return int(number)


def price_parse(value: object, field: str) -> Decimal:
    """Read a positive price with at most four decimals, as NUMERIC(10,4) can hold it exactly."""
    number = decimal_parse(value, field)
    if number <= 0:
        raise Invalid("bad_price", f"{field} must be greater than zero.", field=field)
    if number > PRICE_MAX:
        raise Invalid("bad_price", f"{field} must be at most {PRICE_MAX}.", field=field)
    if number != number.quantize(PRICE_QUANTUM):
        raise Invalid("bad_price", f"{field} must have at most 4 decimals.", field=field)
    return number.quantize(PRICE_QUANTUM)


def price_to_units(price: Decimal) -> int:
    """Return ``price`` in 1/10,000 of a dollar; it must be exact."""
    units = price * PRICE_SCALE
    whole = int(units)
    assert whole == units, f"price {price} is finer than 1/{PRICE_SCALE}"
    return whole


def units_to_price(units: int) -> Decimal:
    """Return engine price units as a Decimal with four decimals."""
    return Decimal(units).scaleb(-4)


def trade_value(price: Decimal, quantity: int) -> Decimal:
    """Return price times quantity rounded half-even to cents: one figure for both sides of a trade."""
    return (price * quantity).quantize(CENT, rounding=ROUND_HALF_EVEN)


def cost_average(value: Decimal, quantity: int) -> Decimal:
    """Return the average price of ``quantity`` shares that cost ``value``, half-even to four decimals."""
    return (value / quantity).quantize(PRICE_QUANTUM, rounding=ROUND_HALF_EVEN)
