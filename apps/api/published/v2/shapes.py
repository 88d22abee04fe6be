"""The published objects as OpenAPI describes them; tests hold every real answer against these shapes."""

from rest_framework import serializers


def text(*, allow_null: bool = False, allow_blank: bool = False) -> serializers.CharField:
    """A string field of an answer."""
    return serializers.CharField(allow_null=allow_null, allow_blank=allow_blank)


def instant() -> serializers.DateTimeField:
    """A time that may not have come."""
    return serializers.DateTimeField(allow_null=True)


class _OrderFields(serializers.Serializer[object]):
    """What every order has."""

    id = serializers.UUIDField()
    client_order_id = text()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    submitted_at = serializers.DateTimeField()
    filled_at = instant()
    expired_at = instant()
    canceled_at = instant()
    failed_at = instant()
    replaced_at = instant()
    expires_at = instant()
    triggered_at = instant()
    replaced_by = serializers.UUIDField(allow_null=True)
    replaces = serializers.UUIDField(allow_null=True)
    asset_id = serializers.UUIDField()
    symbol = text()
    asset_class = text()
    notional = text(allow_null=True)
    qty = text()
    filled_qty = text()
    filled_avg_price = text(allow_null=True)
    order_class = text(allow_blank=True)
    order_type = text()
    type = text()
    side = text()
    position_intent = text()
    time_in_force = text()
    limit_price = text(allow_null=True)
    stop_price = text(allow_null=True)
    status = text()
    extended_hours = serializers.BooleanField()
    trail_percent = text(allow_null=True)
    trail_price = text(allow_null=True)
    hwm = text(allow_null=True)
    reject_reason = text(allow_null=True)


class LegShape(_OrderFields):
    """An order as it stands inside its group's first order; legs have none of their own."""

    legs = serializers.ListField(allow_null=True, max_length=0)


class OrderShape(_OrderFields):
    """An order, with its legs when it is the first of a group and they were asked for."""

    legs = LegShape(many=True, allow_null=True)


class PositionShape(serializers.Serializer[object]):
    """A position at the last price; percentages are fractions."""

    asset_id = serializers.UUIDField()
    symbol = text()
    exchange = text(allow_blank=True)
    asset_class = text()
    asset_marginable = serializers.BooleanField()
    qty = text()
    qty_available = text()
    avg_entry_price = text()
    side = text()
    market_value = text()
    cost_basis = text()
    unrealized_pl = text()
    unrealized_plpc = text()
    unrealized_intraday_pl = text()
    unrealized_intraday_plpc = text()
    current_price = text()
    lastday_price = text()
    change_today = text()


class AssetShape(serializers.Serializer[object]):
    """A listed share; the key ``class`` is the protocol's."""

    id = serializers.UUIDField()
    exchange = text(allow_blank=True)
    symbol = text()
    name = text()
    status = text()
    tradable = serializers.BooleanField()
    marginable = serializers.BooleanField()
    shortable = serializers.BooleanField()
    easy_to_borrow = serializers.BooleanField()
    fractionable = serializers.BooleanField()
    maintenance_margin_requirement = serializers.IntegerField()
    margin_requirement_long = text()
    margin_requirement_short = text()
    cusip = text(allow_null=True)
    attributes = serializers.ListField(child=text())
    min_order_size = text()
    min_trade_increment = text()
    price_increment = text()

    def get_fields(self) -> dict[str, serializers.Field]:  # type: ignore[type-arg]
        return {**super().get_fields(), "class": text()}


class AccountShape(serializers.Serializer[object]):
    """An account's money now."""

    id = serializers.UUIDField()
    account_number = text()
    status = text()
    crypto_status = text()
    currency = text()
    cash = text()
    cash_withdrawable = text()
    equity = text()
    portfolio_value = text()
    last_equity = text()
    balance_asof = serializers.DateField()
    buying_power = text()
    regt_buying_power = text()
    non_marginable_buying_power = text()
    options_buying_power = text()
    daytrading_buying_power = text()
    initial_margin = text()
    maintenance_margin = text()
    last_maintenance_margin = text()
    sma = text()
    long_market_value = text()
    short_market_value = text()
    position_market_value = text()
    multiplier = text()
    accrued_fees = text()
    pending_reg_taf_fees = text()
    pending_transfer_in = text()
    pending_transfer_out = text()
    intraday_adjustments = text()
    daytrade_count = serializers.IntegerField()
    pattern_day_trader = serializers.BooleanField()
    trading_blocked = serializers.BooleanField()
    transfers_blocked = serializers.BooleanField()
    account_blocked = serializers.BooleanField()
    trade_suspended_by_user = serializers.BooleanField()
    shorting_enabled = serializers.BooleanField()
    options_approved_level = serializers.IntegerField()
    options_trading_level = serializers.IntegerField()
    created_at = serializers.DateTimeField()


class ConfigurationShape(serializers.Serializer[object]):
    """What an account may do."""

    fractional_trading = serializers.BooleanField()
    max_margin_multiplier = text()
    no_shorting = serializers.BooleanField()
    suspend_trade = serializers.BooleanField()
    trade_confirm_email = text()
    ptp_no_exception_entry = serializers.BooleanField()
    max_options_trading_level = serializers.IntegerField()
    disable_overnight_trading = serializers.BooleanField()


class ClockShape(serializers.Serializer[object]):
    """Whether the market is open, in the exchange's local time."""

    timestamp = serializers.DateTimeField()
    is_open = serializers.BooleanField()
    next_open = serializers.DateTimeField()
    next_close = serializers.DateTimeField()


class CalendarDayShape(serializers.Serializer[object]):
    """One trading day, in the exchange's local time."""

    date = serializers.DateField()
    open = text()
    close = text()
    session_open = text()
    session_close = text()
    settlement_date = serializers.DateField()


class ErrorShape(serializers.Serializer[object]):
    """Any refusal; more figures may stand beside these."""

    code = serializers.IntegerField()
    message = text()


class CancelledItemShape(serializers.Serializer[object]):
    """What became of one order when all were to be cancelled."""

    id = serializers.UUIDField()
    status = serializers.IntegerField()
    body = serializers.DictField(required=False)


class ClosedItemShape(serializers.Serializer[object]):
    """What became of one position when all were to be closed: an order, or why there is none."""

    symbol = text()
    status = serializers.IntegerField()
    body = serializers.DictField()
