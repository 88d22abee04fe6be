"""Which socket answers where; the terminal's alone is signed in by the session cookie."""

from typing import Any

from channels.auth import AuthMiddlewareStack
from channels.generic.websocket import AsyncWebsocketConsumer
from django.urls import re_path

from apps.streaming.consumers.market import MarketConsumer
from apps.streaming.consumers.terminal import TerminalConsumer
from apps.streaming.consumers.trading import TradingConsumer


class NowhereConsumer(AsyncWebsocketConsumer):
    """Refuses a socket at an address that does not exist."""

    channel_layer_alias: Any = None

    async def connect(self) -> None:
        await self.close()


websocket_urlpatterns = [
    re_path(r"^ws/terminal$", AuthMiddlewareStack(TerminalConsumer.as_asgi())),
    re_path(r"^stream/?$", TradingConsumer.as_asgi()),
    re_path(r"^v2/(?P<feed>iex|sip|delayed_sip|test)$", MarketConsumer.as_asgi()),
    re_path(r"", NowhereConsumer.as_asgi()),
]
