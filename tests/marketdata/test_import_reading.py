"""Files are read in whole columns for speed: with the very values, and refusals, of reading row by row."""

import gzip
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.marketdata.candles import Tick
from apps.marketdata.imports import source as sources
from apps.marketdata.imports.columns import SIDE_TEXTS, Symbols
from apps.marketdata.imports.lines import Block
from apps.marketdata.imports.reading import Parsed, TickReader
from apps.marketdata.imports.rows import TICKS, Limits, tick_read, time_read
from apps.marketdata.imports.source import Piece, Source
from apps.marketdata.imports.table import Ticks, us_instant
from apps.primitives.errors import Invalid
from apps.primitives.money import units_to_price

SYMBOLS = Symbols(["AAPL", "BRK.B", "A", "ABCDEFGHIJ", "ABCDEFGHIK", "S1"])
LIMITS = Limits(SYMBOLS, datetime(2021, 1, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC))
HEADER = ["time", "symbol", "price", "quantity", "side", "exchange", "trade_id", "note"]
FIRST_ID = 7 << 36


def reader(header: list[str] = HEADER) -> TickReader:
    return TickReader(header, TICKS.columns_find(header), LIMITS, FIRST_ID)


def read(lines: list[str], header: list[str] = HEADER) -> Parsed[Ticks]:
    content = "".join(line + "\n" for line in lines).encode()
    return reader(header).read(Piece(content, 2, 2 + len(lines), len(content)))


def ticks_of(ticks: Ticks) -> dict[int, Tick]:
    """Return the rows as ticks by their line."""
    return {
        int(ticks.line[row]): Tick(
            int(ticks.trade_id[row]),
            us_instant(ticks.time[row]),
            SYMBOLS.texts[ticks.symbol[row]].decode(),
            units_to_price(int(ticks.price[row])),
            int(ticks.quantity[row]),
            SIDE_TEXTS[ticks.side[row]].decode() or None,
            ticks.exchange[row].decode() or None,
        )
        for row in range(len(ticks))
    }


def read_one_by_one(lines: list[str]) -> tuple[dict[int, Tick], dict[int, str]]:
    good, bad = {}, {}
    for number, line in enumerate(lines, 2):
        if not line:
            continue
        row = Block((line + "\n").encode(), number, len(HEADER)).row(0)
        try:
            if row is None:
                raise Invalid("bad_line", "the line does not have the 8 columns of the first")
            good[number] = tick_read(dict(zip(HEADER[:-1], row, strict=False)), LIMITS, FIRST_ID + number)
        except Invalid as error:
            bad[number] = error.message.rstrip(".")
    return good, bad


def digits(least: int, most: int) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=least, max_size=most)


offsets = st.sampled_from(["Z", "z", "+00:00", "-05:00", "+0530", "-04", "", "+24:00", "+05:60", " Z"])
instants = st.integers(1_609_300_000, 1_780_400_000).map(lambda second: datetime.fromtimestamp(second, UTC))
fractions = digits(1, 10).map(lambda text: f".{text}")
times = st.one_of(
    st.builds(
        lambda at, between, fraction, zone: f"{at:%Y-%m-%d}{between}{at:%H:%M:%S}{fraction}{zone}",
        instants,
        st.sampled_from("T t"),
        st.just("") | fractions,
        offsets,
    ),
    st.builds(
        lambda at, factor: str(int(at.timestamp()) * factor + 1),
        instants,
        st.sampled_from([1, 10**3, 10**6, 10**9]),
    ),
    st.sampled_from(
        [
            "2026-02-30T00:00:00Z",
            "2024-02-29T23:59:59Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01",
            "2026-01-01T00:00:60Z",
            "2026-13-01T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "2026-01-01 10:00Z",
        ]
    ),
    digits(0, 21),
)
prices = st.one_of(
    st.builds(lambda whole, part: f"{whole}.{part}", digits(0, 7), digits(0, 6)),
    digits(0, 12),
    st.sampled_from(
        ["NaN", "inf", "-1", "1e2", "1.2.3", ".", "0", "0.0000", "+5", "1,5", "999999.9999", "1000000"]
    ),
)
quantities = digits(0, 12) | st.sampled_from(["1.0", "1.5", "-3", "2147483647", "2147483648", "1_0"])
names = st.sampled_from(["AAPL", "BRK.B", "A", "ABCDEFGHIJ", "ABCDEFGHIK", "ABCDEFGHIJK", "aapl", "ZZZ", ""])
sides = st.sampled_from(["BUY", "sell", "Buy", "B", "s", "", "SELLS", "X", "\x02UY", " BUY"])
exchanges = st.sampled_from(["", "NASDAQ", "N", "ABCDEFGHIJ", "ABCDEFGHIJK", "É", "A B", "\x7f"])
trade_ids = digits(0, 20) | st.sampled_from(["-1", "9223372036854775807", "9223372036854775808"])
notes = st.sampled_from(["", "x", '"a,b"', '"say ""no"""', '"open', "late\r"])
quotings = st.sampled_from(["{}", "{}", "{}", '"{}"', " {} "])


@st.composite
def lines(draw: st.DrawFn) -> str:
    """Draw a line of which each value is mostly right."""
    plain = ("2026-03-02T15:00:00.123456Z", "AAPL", "101.25", "300", "BUY", "NASDAQ", "12345")
    odd = (times, names, prices, quantities, sides, exchanges, trade_ids)
    values = [
        draw(quotings).format(draw(strange) if draw(st.integers(0, 3)) == 0 else usual)
        for usual, strange in zip(plain, odd, strict=True)
    ]
    line = ",".join([*values, draw(notes)])
    return draw(st.sampled_from([line, line, line, line, line + ",more", line[:20], "", line + "\r"]))


@settings(max_examples=400, deadline=None)
@given(st.lists(lines(), min_size=1, max_size=12))
def test_columns_give_what_rows_give(drawn: list[str]) -> None:
    good, bad = read_one_by_one([line.rstrip("\r") for line in drawn])
    parsed = read(drawn)
    assert ticks_of(parsed.rows) == good
    assert {one.line: one.reason for one in parsed.bad} == bad


@settings(max_examples=300, deadline=None)
@given(st.lists(times, min_size=1, max_size=20))
def test_instants_of_any_form_side_by_side(drawn: list[str]) -> None:
    rows = [f"{time},AAPL,1,1,,,5," for time in drawn]
    assert ticks_of(read(rows).rows) == read_one_by_one(rows)[0]


def test_a_usual_file_is_read_in_columns_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.marketdata.imports.reading.tick_read", None)
    start = datetime(2026, 3, 2, 15, tzinfo=UTC)
    rows = [
        f'{(start + timedelta(milliseconds=n)).isoformat()},"AAPL",{100 + n / 100:.2f},{n + 1},sell,,{n},'
        for n in range(1000)
    ]
    parsed = read(rows)
    assert len(parsed.rows) == 1000
    assert parsed.bad == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1772463600", "2026-03-02T15:00:00+00:00"),
        ("1772463600123", "2026-03-02T15:00:00.123000+00:00"),
        ("1772463600123456", "2026-03-02T15:00:00.123456+00:00"),
        ("1772463600123456789", "2026-03-02T15:00:00.123456+00:00"),
        ("2026-03-02 10:00:00.9999999-0500", "2026-03-02T15:00:00.999999+00:00"),
        ("2026-03-02T15:00Z", "2026-03-02T15:00:00+00:00"),
    ],
)
def test_forms_of_time(text: str, expected: str) -> None:
    assert time_read(text).isoformat() == expected


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2026-03-02T15:00:00,AAPL,1,1,,,5,", "time has no zone"),
        ("2027-03-02T15:00:00Z,AAPL,1,1,,,5,", "time lies in the future"),
        ("1969-12-31T15:00:00Z,AAPL,1,1,,,5,", "time lies before 2021-01-01"),
        ("-5,AAPL,1,1,,,5,", "time must be ISO 8601"),
        ("2026-03-02T15:00:00Z,MSFT,1,1,,,5,", "symbol 'MSFT' is not listed"),
        ("2026-03-02T15:00:00Z,AAPL,0,1,,,5,", "price must be greater than zero"),
        ("2026-03-02T15:00:00Z,AAPL,1.00001,1,,,5,", "price must have at most 4 decimals"),
        ("2026-03-02T15:00:00Z,AAPL,NaN,1,,,5,", "price must be a finite number"),
        ("2026-03-02T15:00:00Z,AAPL,1,0,,,5,", "quantity must be from 1 to 2147483647"),
        ("2026-03-02T15:00:00Z,AAPL,1,2147483648,,,5,", "quantity must be from 1 to 2147483647"),
        ("2026-03-02T15:00:00Z,AAPL,1,1.5,,,5,", "quantity must be a whole number"),
        ("2026-03-02T15:00:00Z,AAPL,1,1,HOLD,,5,", "side must be BUY, SELL or empty"),
        ("2026-03-02T15:00:00Z,AAPL,1,1,,ABCDEFGHIJK,5,", "exchange must be at most 10"),
        ("2026-03-02T15:00:00Z,AAPL,1,1,,,,", "trade_id must be a plain decimal number"),
        ("2026-03-02T15:00:00Z,AAPL,1,1,,,5", "the line does not have the 8 columns"),
        ('2026-03-02T15:00:00Z,"AAPL,1,1,,,5,', "the line does not have the 8 columns"),
    ],
)
def test_each_bad_line_is_told_with_its_number_reason_and_text(line: str, reason: str) -> None:
    good = "2026-03-02T15:00:00Z,AAPL,1,1,,,5,"
    parsed = read([good, line, good])
    (bad,) = parsed.bad
    assert (bad.line, bad.text) == (3, line)
    assert bad.reason.startswith(reason), bad.reason
    assert parsed.rows.line.tolist() == [2, 4]


def test_columns_come_in_any_order_under_their_usual_names() -> None:
    header = ["Ticker", "Exchange", "SIZE", "Price", "ignored", "Timestamp"]
    parsed = read(["BRK.B,N,25,400.5,x,1772463600"], header)
    (tick,) = ticks_of(parsed.rows).values()
    assert (tick.symbol, tick.exchange, tick.quantity, str(tick.price)) == ("BRK.B", "N", 25, "400.5000")
    assert tick.trade_id == FIRST_ID + 2, "without a column of ids, a line's number makes one"


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        (["time", "symbol", "price"], "does not name quantity"),
        (["PK\x03", "x"], "does not name time, symbol, price, quantity"),
        (["time", "date", "symbol", "price", "quantity"], "Two columns, time and date, both mean time"),
    ],
)
def test_a_header_that_does_not_fit_is_one_sentence(header: list[str], sentence: str) -> None:
    with pytest.raises(Invalid, match=sentence):
        TICKS.columns_find(header)


def packed(path: Path, content: bytes, form: str) -> Path:
    if form == "gz":
        path.write_bytes(gzip.compress(content))
    elif form == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("folder/ticks.csv", content)
    else:
        path.write_bytes(content)
    return path


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sources, "BLOCK_BYTES", 100)
    yield


def pieces(path: Path, offset: int | None = None, line: int = 2) -> list[Piece]:
    with Source(path) as source:
        assert source.header == ["a", "b"]
        start = source.body_offset if offset is None else offset
        return list(source.pieces(start, line, lambda read: None))


@pytest.mark.parametrize("form", ["csv", "gz", "zip"])
def test_pieces_are_whole_lines_and_any_of_them_can_be_the_first(
    tmp_path: Path, small_blocks: None, form: str
) -> None:
    body = b"".join(b"%d,%s\r\n" % (n, b"x" * (n % 50)) for n in range(200)) + b"last,line"
    path = packed(tmp_path / "t", b"\xef\xbb\xbfa,b\r\n" + body, form)
    found = pieces(path)
    assert b"".join(piece.content for piece in found) == body + b"\n"
    assert all(piece.content.endswith(b"\n") for piece in found)
    assert found[-1].next_line == 203
    for before, after in zip(found, found[1:], strict=False):
        assert before.next_line == after.line
        assert pieces(path, before.next_offset, before.next_line)[0] == after


@pytest.mark.parametrize(
    ("content", "form", "sentence"),
    [
        (b"", "csv", "is empty"),
        (b"\xff\xfea\x00,\x00b\x00\n\x00", "csv", "is no CSV file"),
        (b"\x7fELF\x02\x01\x01\x00" * 20_000, "csv", "is no CSV file"),
        (b"a,b\n" + b"x" * 500, "csv", "line 2 is longer than 100 bytes"),
        (b"a,b\n1,2\n\0\0\0\n", "csv", "zero bytes after line 1"),
        (b"a,b\n" + b"1,2\n" * 20_000, "gz", "unpacks to more than 2 times its size"),
        (b"a,b\n" + b"1,2\n" * 20_000, "zip", "unpacks to more than 2 times its size"),
    ],
)
def test_what_is_no_such_file_is_one_sentence(
    tmp_path: Path,
    small_blocks: None,
    monkeypatch: pytest.MonkeyPatch,
    content: bytes,
    form: str,
    sentence: str,
) -> None:
    monkeypatch.setattr(sources, "PACKED_FREE_BYTES", 1_000)
    monkeypatch.setattr(sources, "PACKED_TIMES_MAX", 2)
    with pytest.raises(Invalid, match=sentence):
        pieces(packed(tmp_path / "t", content, form))


def test_damaged_and_foreign_archives_are_one_sentence(tmp_path: Path) -> None:
    whole = packed(tmp_path / "whole.gz", b"a,b\n" + bytes(range(33, 127)) * 500, "gz").read_bytes()
    (tmp_path / "cut.gz").write_bytes(whole[: len(whole) // 2])
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("one.csv", "a,b\n")
        archive.writestr("two.csv", "a,b\n")
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04nothing")
    for name, sentence in (
        ("cut.gz", "is damaged"),
        ("two.zip", "holds 2 files, and an import takes one"),
        ("broken.zip", "is damaged"),
        ("absent.csv", "cannot be read: No such file"),
    ):
        with pytest.raises(Invalid, match=sentence):
            pieces(tmp_path / name)


def test_symbols_are_found_among_many() -> None:
    names = [f"{letter}{n}" for letter in ("A", "BB", "LONGNAM") for n in range(300)]
    symbols = Symbols(names)
    rows = Block("".join(f"{name},x\n" for name in [*names, "A300", "LONGNAM30", "B"]).encode(), 1, 2)
    found = symbols.read(rows.column(0))
    assert [symbols.texts[n].decode() for n in found.value[:900]] == names
    assert found.sure.tolist() == [True] * 900 + [False, True, False]
