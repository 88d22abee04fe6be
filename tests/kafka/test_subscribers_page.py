"""The example on the page about subscribers works as it stands there."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from django.db import connection

from apps.instruments.selectors import market_session
from apps.instruments.services import instrument_add
from brokerage.env import ROOT
from brokerage.supervisor.kafka import EmbeddedKafka
from tests.kafka.stories import relay_make
from tests.support.builders import Trader
from tests.support.matching import Exchange, matching_url

PAGE = ROOT / "docs" / "subscribers.md"
SYMBOL = "PAGE"


def block(language: str) -> str:
    [found] = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return found


def counted() -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT symbol, trades FROM trades_counted")
        return dict(cursor.fetchall())


def trade_make(exchange: Exchange, seller: Trader, buyer: Trader, times: int) -> None:
    for _ in range(times):
        seller.sell(1, "100.00", symbol=SYMBOL)
        exchange.run()
        buyer.buy(1, "100.00", symbol=SYMBOL)
        exchange.run()


def test_example_counts_each_trade_once(
    kafka: EmbeddedKafka, trader: Callable[..., Trader], exchange: Exchange, tmp_path: Path
) -> None:
    code = block("python")
    assert len([line for line in code.splitlines() if line.strip()]) <= 22, "it should stay a short one"
    example = tmp_path / "example.py"
    example.write_text(code)
    with connection.cursor() as cursor:
        cursor.execute(block("sql"))
    today = market_session().trade_date
    instrument_add(symbol=SYMBOL, name="Page Inc", exchange="NYSE", price=Decimal("100.00"), trade_date=today)
    seller, buyer = trader(shares={SYMBOL: 10}), trader(cash="5000")
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "brokerage.settings.development",
        "OPENBELL_SUPERVISED": "1",
        "DATABASE_URL": matching_url(),
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
        "PYTHONPATH": str(ROOT),
    }
    process = subprocess.Popen([sys.executable, "-W", "ignore", str(example)], env=env, cwd=ROOT)
    try:
        trade_make(exchange, seller, buyer, times=3)
        relay = relay_make()
        deadline = time.monotonic() + 60
        while counted().get(SYMBOL, 0) < 3 and time.monotonic() < deadline:
            relay.step()
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
        assert counted()[SYMBOL] == 3
    finally:
        process.kill()
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE trades_counted")
