"""Random command streams must leave the reference and the compiled book with the same events and state."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.matching.native import NativeEngine
from apps.matching.reference import ReferenceEngine
from tests.matching.duel import Duel, duel_run
from tests.matching.engine_commands import Fields, commands_pack
from tests.matching.flow import Flow
from tests.matching.strategies import STREAMS, command_aim


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(STREAMS, st.integers(10, 60), st.integers(2, 4))
def test_reference_and_compiled_book_agree_command_by_command(
    commands: list[Fields | None], max_orders: int, max_books: int
) -> None:
    duel = Duel(max_orders=max_orders, max_books=max_books)
    for place, command in enumerate(commands):
        if command is None:
            continue
        aimed = command_aim(command, duel.reference.live_orders(), place)
        duel.fight(commands_pack([aimed]))
        duel.compare_views(aimed.get("symbol_id", 0))


def test_long_streams_agree_batch_by_batch() -> None:
    for seed in range(8):
        assert duel_run(seed=[seed], commands=20_000, max_orders=60 + 20 * seed, max_books=4) is None


def test_streams_agree_after_every_command() -> None:
    duel, flow = Duel(max_orders=100, max_books=4), Flow([99])
    for _ in range(30):
        for command in flow.batch(100, duel.reference.live_orders()):
            duel.fight(np.array([command]))


def test_batches_do_not_change_the_outcome() -> None:
    flow, reference = Flow([7]), ReferenceEngine(max_orders=200, max_books=4)
    batches = []
    for _ in range(100):
        batches.append(flow.batch(100, reference.live_orders()))
        reference.process(batches[-1])
    commands = np.concatenate(batches)
    whole, pieces = (NativeEngine(max_orders=200, max_books=4) for _ in range(2))
    events = whole.process(commands)
    parts = [pieces.process(commands[at : at + 37]) for at in range(0, len(commands), 37)]
    assert np.concatenate(parts).tobytes() == events.tobytes()
    assert whole.state_hash() == pieces.state_hash()
