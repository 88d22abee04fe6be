"""The published market data as OpenAPI describes it; every figure is a JSON number."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.api.published.v2.shapes import text


@extend_schema_field(OpenApiTypes.NUMBER)
class NumberField(serializers.Field):  # type: ignore[type-arg]
    """A decimal, written as a JSON number."""


class BarShape(serializers.Serializer[object]):
    """One bar: the start of its bucket, prices, shares, trades and the price weighted by volume."""

    t = serializers.DateTimeField()
    o = NumberField()
    h = NumberField()
    l = NumberField()  # noqa: E741
    c = NumberField()
    v = serializers.IntegerField()
    n = serializers.IntegerField(allow_null=True)
    vw = NumberField(allow_null=True)


class TradeShape(serializers.Serializer[object]):
    """One trade on the tape."""

    t = serializers.DateTimeField()
    x = text()
    p = NumberField()
    s = serializers.IntegerField()
    i = serializers.IntegerField()
    c = serializers.ListField(child=text())
    z = text()


class QuoteShape(serializers.Serializer[object]):
    """The top of the book; a side without orders is zero."""

    t = serializers.DateTimeField()
    ax = text()
    ap = NumberField()
    bx = text()
    bp = NumberField()
    bs = serializers.IntegerField()
    c = serializers.ListField(child=text())
    z = text()

    def get_fields(self) -> dict[str, serializers.Field]:  # type: ignore[type-arg]
        return {**super().get_fields(), "as": serializers.IntegerField()}


class _SnapshotFields(serializers.Serializer[object]):
    latestTrade = TradeShape(required=False)
    latestQuote = QuoteShape(required=False)
    minuteBar = BarShape(required=False)
    dailyBar = BarShape(required=False)
    prevDailyBar = BarShape(required=False)


class SnapshotShape(_SnapshotFields):
    """The newest of everything; what there is none of is absent."""


SnapshotsShape = serializers.DictField(child=SnapshotShape())
"""The newest of everything by symbol: the map is the answer itself."""


class SymbolSnapshotShape(_SnapshotFields):
    """The newest of everything of one symbol."""

    symbol = text()


class _PageFields(serializers.Serializer[object]):
    next_page_token = text(allow_null=True)


class _SymbolPageFields(_PageFields):
    symbol = text()


class BarsShape(_PageFields):
    """A page of bars by symbol."""

    bars = serializers.DictField(child=BarShape(many=True))


class SymbolBarsShape(_SymbolPageFields):
    """A page of one symbol's bars."""

    bars = BarShape(many=True)


class TradesShape(_PageFields):
    """A page of trades by symbol."""

    trades = serializers.DictField(child=TradeShape(many=True))


class SymbolTradesShape(_SymbolPageFields):
    """A page of one symbol's trades."""

    trades = TradeShape(many=True)


class QuotesShape(_PageFields):
    """A page of quotes by symbol."""

    quotes = serializers.DictField(child=QuoteShape(many=True))


class SymbolQuotesShape(_SymbolPageFields):
    """A page of one symbol's quotes."""

    quotes = QuoteShape(many=True)


class AuctionsShape(_PageFields):
    """Auctions by symbol."""

    auctions = serializers.DictField()


class SymbolAuctionsShape(_SymbolPageFields):
    """One symbol's auctions."""

    auctions = serializers.ListField(child=serializers.DictField())


class LatestBarsShape(serializers.Serializer[object]):
    """The newest minute of each symbol."""

    bars = serializers.DictField(child=BarShape())


class LatestBarShape(serializers.Serializer[object]):
    """A symbol's newest minute."""

    symbol = text()
    bar = BarShape()


class LatestTradesShape(serializers.Serializer[object]):
    """The newest trade of each symbol."""

    trades = serializers.DictField(child=TradeShape())


class LatestTradeShape(serializers.Serializer[object]):
    """A symbol's newest trade."""

    symbol = text()
    trade = TradeShape()


class LatestQuotesShape(serializers.Serializer[object]):
    """The newest quote of each symbol."""

    quotes = serializers.DictField(child=QuoteShape())


class LatestQuoteShape(serializers.Serializer[object]):
    """A symbol's newest quote."""

    symbol = text()
    quote = QuoteShape()


class ActiveShape(serializers.Serializer[object]):
    """A share that is traded much today."""

    symbol = text()
    volume = serializers.IntegerField()
    trade_count = serializers.IntegerField()


class MostActivesShape(serializers.Serializer[object]):
    """The shares traded most, most first."""

    most_actives = ActiveShape(many=True)
    last_updated = serializers.DateTimeField()


class MoverShape(serializers.Serializer[object]):
    """A share whose price has moved since the session before."""

    symbol = text()
    percent_change = NumberField()
    change = NumberField()
    price = NumberField()


class MoversShape(serializers.Serializer[object]):
    """The shares that rose and fell most, in per cent."""

    gainers = MoverShape(many=True)
    losers = MoverShape(many=True)
    market_type = text()
    last_updated = serializers.DateTimeField()


class NewsShape(_PageFields):
    """A page of news."""

    news = serializers.ListField(child=serializers.DictField())


class CorporateActionsShape(_PageFields):
    """A page of corporate actions, in a list a kind."""

    corporate_actions = serializers.DictField()
