"""Time-ordered ids and the public ids made from them."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.primitives.errors import NotFound
from apps.primitives.ids import ID_MAX, Kind, day_bounds, id_floor, id_time, public_id, public_id_decode

ids = st.integers(0, ID_MAX)
EARLY, LATE = (datetime(year, 1, 1, tzinfo=UTC).replace(tzinfo=None) for year in (2020, 2100))


@given(ids, st.sampled_from(Kind))
def test_public_id_decodes_to_its_id(number: int, kind: Kind) -> None:
    public = public_id(kind, number)
    assert public_id_decode(kind, public) == number
    assert public.version == 8


@given(ids, ids)
def test_public_ids_sort_as_their_ids_do(one: int, other: int) -> None:
    assert (public_id(Kind.ORDER, one) < public_id(Kind.ORDER, other)) == (one < other)


@given(ids, st.integers(0, 127))
def test_public_id_with_any_bit_changed_is_unknown(number: int, bit: int) -> None:
    damaged = UUID(int=public_id(Kind.ORDER, number).int ^ (1 << bit))
    with pytest.raises(NotFound):
        public_id_decode(Kind.ORDER, damaged)


def test_public_id_of_another_kind_is_unknown() -> None:
    with pytest.raises(NotFound):
        public_id_decode(Kind.ACCOUNT, public_id(Kind.ORDER, 123))


@given(st.datetimes(EARLY, LATE, timezones=st.just(UTC)))
def test_id_floor_is_the_smallest_id_of_its_millisecond(instant: datetime) -> None:
    floor = id_floor(instant)
    assert timedelta(0) <= instant - id_time(floor) < timedelta(milliseconds=1)
    assert id_time(floor - 1) < id_time(floor) or floor == 0


def test_day_bounds_meet_without_gap_or_overlap() -> None:
    assert day_bounds(date(2026, 1, 8))[1] == day_bounds(date(2026, 1, 9))[0]
