"""Filters for figures, icons, and the reader's display preferences."""

from collections.abc import Callable
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from apps.web import numbers
from apps.web.preferences import preferences_read

register = template.Library()


def _absent_as_none(function: Callable[[Any], str]) -> Callable[[Any], str]:
    """Hand None to a filter for a figure that the template did not find, which Django passes as ``""``."""

    def filtered(value: Any) -> str:
        return function(None if value == "" else value)

    return filtered


def _percent_brief(value: Any) -> str:
    return numbers.percent_text(value, places=1)


_FILTERS: dict[str, Callable[[Any], str]] = {
    "money": numbers.money_text,
    "money_signed": numbers.money_signed,
    "percent_brief": _percent_brief,
    "percent_signed": numbers.percent_signed,
    "price": numbers.price_text,
    "price_signed": numbers.price_signed,
    "quantity": numbers.quantity_text,
    "volume": numbers.volume_text,
    "tone": numbers.tone,
    "arrow": numbers.arrow,
    "et_time": numbers.exchange_time,
    "et_stamp": numbers.exchange_stamp,
}

for _name, _function in _FILTERS.items():
    register.filter(_name, _absent_as_none(_function))

_ICONS = {
    "search": '<circle cx="7" cy="7" r="4.5"/><path d="m10.5 10.5 3 3"/>',
    "bell": '<path d="M4 7a4 4 0 0 1 8 0c0 3.5 1.5 4.5 1.5 4.5h-11S4 10.5 4 7M6.7 13.5h2.6"/>',
    "moon": '<path d="M13.5 9.5A6 6 0 0 1 6.5 2.5a6 6 0 1 0 7 7Z"/>',
    "gear": '<circle cx="8" cy="8" r="2"/><path d="M8 1.8v2M8 12.2v2M1.8 8h2M12.2 8h2M3.6 3.6 5 5M11 11l1.4 '
    '1.4M12.4 3.6 11 5M5 11l-1.4 1.4"/>',
    "user": '<circle cx="8" cy="5.5" r="2.7"/><path d="M2.8 13.5a5.2 5.2 0 0 1 10.4 0"/>',
    "down": '<path d="m4.5 6.5 3.5 3.5 3.5-3.5"/>',
    "back": '<path d="M9.5 3.5 5 8l4.5 4.5"/>',
    "close": '<path d="m4.5 4.5 7 7M11.5 4.5l-7 7"/>',
    "tick": '<path d="m3.5 8.5 3 3 6-7"/>',
    "info": '<circle cx="8" cy="8" r="6"/><path d="M8 7.3v3.7M8 5v.01"/>',
    "alert": '<path d="M8 2 1.8 13.2h12.4ZM8 6.5v3M8 11.4v.01"/>',
    "offline": '<path d="M2 6.5a9 9 0 0 1 12 0M4.5 9a5.5 5.5 0 0 1 7 0M8 12v.01M2.5 2.5l11 11"/>',
    "held": '<path d="M3 5.5h10v7H3zM6 5.5V4h4v1.5"/>',
    "list": '<path d="M3 4.5h10M3 8h10M3 11.5h10"/>',
    "candles": '<path d="M5 2v2M5 10v3M11 3v2M11 12v2"/><rect x="3.5" y="4" width="3" height="6" rx=".5"/>'
    '<rect x="9.5" y="5" width="3" height="7" rx=".5"/>',
    "wave": '<path d="M2 12c3 0 3-8 6-8s3 5 6 5"/>',
    "table": '<path d="M2.5 3.5h11v9h-11zM2.5 6.5h11M6.5 3.5v9"/>',
    "expand": '<path d="M6 2.5H2.5V6M10 2.5h3.5V6M6 13.5H2.5V10M10 13.5h3.5V10"/>',
    "pie": '<path d="M8 2v6h6A6 6 0 1 1 8 2Z"/>',
    "file": '<path d="M4 2h5l3 3v9H4zM6.5 8h3M6.5 10.5h3"/>',
    "more": '<path d="M3.5 8h.01M8 8h.01M12.5 8h.01"/>',
    "out": '<path d="M6 2.5H3v11h3M10 5l3 3-3 3M13 8H6.5"/>',
    "clock": '<circle cx="8" cy="8" r="6"/><path d="M8 4.5V8l2.5 1.5"/>',
}


@register.simple_tag
def icon(name: str) -> SafeString:
    """Return a decorative 16 px line icon."""
    drawing = mark_safe(_ICONS[name])
    return format_html('<svg class="icon" viewBox="0 0 16 16" aria-hidden="true">{}</svg>', drawing)


@register.simple_tag(takes_context=True)
def preference_attributes(context: dict[str, Any]) -> SafeString:
    """Return the data attributes of ``<html>``, so that the first paint already has the right colours."""
    request = context.get("request")
    chosen = preferences_read(request.COOKIES if request is not None else {})
    return format_html(
        'data-theme="{}" data-palette="{}" data-flash="{}"', chosen.theme, chosen.palette, chosen.flash
    )


@register.simple_tag
def sparkline_points(values: list[Any]) -> str:
    """Return the points of a 52 by 22 polyline through the closes in ``values``."""
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    span = (high - low) or 1
    width = len(values) - 1
    return " ".join(
        f"{52 * n / width:.1f},{20 - 18 * (value - low) / span:.1f}" for n, value in enumerate(values)
    )
