"""What an order book must do, told as stories to the reference book and to the compiled one."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from apps.matching.codes import EVENT_DTYPE, ExecType, Reason
from apps.matching.native import NativeEngine
from apps.matching.reference import ReferenceEngine
from tests.matching.engine_commands import SYMBOL, commands_pack
from tests.matching.notation import book_text, command_parse, event_fields_text, events_text, price_text
from tests.matching.restarted import RestartedEngine

STORIES = Path(__file__).parent / "stories"
Make = type[ReferenceEngine] | type[NativeEngine]
LIMITS = {"orders": 1_000, "books": 4}


@dataclass
class Step:
    """A line of a story and what must come of it."""

    number: int
    line: str
    expected: list[str] = field(default_factory=list)


@dataclass
class Story:
    title: str
    steps: list[Step] = field(default_factory=list)


def stories_read(path: Path) -> list[Story]:
    stories: list[Story] = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith("== "):
            stories.append(Story(f"{path.stem}: {line[3:]}"))
        elif line.startswith("  "):
            stories[-1].steps[-1].expected.append(line.strip())
        elif line and not line.startswith("--"):
            stories[-1].steps.append(Step(number, line))
    return stories


ALL = [story for path in sorted(STORIES.glob("*.txt")) for story in stories_read(path)]


class Teller:
    """Plays a story to an engine; beside it a reference book says how the book looks now."""

    def __init__(self, make: Make, limits: dict[str, int]) -> None:
        self.engine, self.reference = (
            each(max_orders=limits["orders"], max_books=limits["books"]) for each in (make, ReferenceEngine)
        )
        self.reasons: set[int] = set()
        self.kinds: set[int] = set()
        self.events = np.zeros(0, dtype=EVENT_DTYPE)
        self.seq = 0

    def play(self, step: Step) -> list[str]:
        match step.line.split():
            case ["book"]:
                return self.book()
            case ["fields"]:
                return [event_fields_text(event) for event in self.events]
            case ["indication"]:
                return [self.indication()]
        return self.tell(step.line)

    def tell(self, line: str) -> list[str]:
        self.seq += 1
        commands = commands_pack([command_parse(line) | {"seq": self.seq}])
        before = self.engine.state_hash()
        self.events = events = self.engine.process(commands)
        assert events.tobytes() == self.reference.process(commands).tobytes()
        assert self.engine.state_hash() == self.reference.state_hash()
        self.reasons |= set(events["reason"].tolist())
        self.kinds |= set(events["exec_type"].tolist())
        if ExecType.REJECTED in events["exec_type"]:
            assert self.engine.state_hash() == before, "a refused command changed something"
        return events_text(events)

    def book(self) -> list[str]:
        assert self.engine.depth(SYMBOL, 100) == self.reference.depth(SYMBOL, 100)
        books = {book.symbol_id: book for book in self.reference.books()}
        return book_text(books[SYMBOL]) if SYMBOL in books else ["empty"]

    def indication(self) -> str:
        found = self.engine.indication(SYMBOL)
        assert found == self.reference.indication(SYMBOL)
        return f"{found[1]} @ {price_text(found[0])} imbalance {found[2]}" if found else "none"


def limits_read(story: Story) -> tuple[dict[str, int], list[Step]]:
    """Split off the line `engine orders=2 books=2` a story may begin with."""
    first, *rest = story.steps
    if not first.line.startswith("engine "):
        return LIMITS, story.steps
    told = dict(pair.split("=") for pair in first.line.split()[1:])
    return LIMITS | {name: int(value) for name, value in told.items()}, rest


def story_play(make: Make, story: Story) -> Teller:
    limits, steps = limits_read(story)
    teller = Teller(make, limits)
    for step in steps:
        assert teller.play(step) == step.expected, f"line {step.number}: {step.line}"
    return teller


@pytest.mark.parametrize(
    "make", [ReferenceEngine, NativeEngine, RestartedEngine], ids=["ref", "cpp", "cpp-restarted"]
)
@pytest.mark.parametrize("story", ALL, ids=lambda story: story.title)
def test_story(make: Make, story: Story) -> None:
    story_play(make, story)


def test_stories_tell_of_every_reason_and_every_event() -> None:
    tellers = [story_play(ReferenceEngine, story) for story in ALL]
    assert {Reason(code) for teller in tellers for code in teller.reasons} == set(Reason)
    assert {ExecType(code) for teller in tellers for code in teller.kinds} == set(ExecType)
