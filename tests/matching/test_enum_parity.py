"""Both sides of the language boundary must mean the same by every code, limit and byte."""

import subprocess
import sys
from enum import IntEnum, IntFlag
from pathlib import Path

import numpy as np
import pytest

from apps.matching import codes, native
from apps.matching.reference import COMMAND_FIELDS, EVENT_FIELDS, ReferenceEngine

ENUMERATIONS = sorted(native.codes())
STUB = Path(__file__).resolve().parents[2] / "engine/bindings/openbell_engine/_engine.pyi"


def dtype_layout(dtype: np.dtype) -> dict[str, tuple[int, int]]:
    assert dtype.fields is not None
    return {name: (field[1], field[0].itemsize) for name, field in dtype.fields.items()}


def test_both_sides_have_the_same_enumerations() -> None:
    ours = [
        name
        for name, value in vars(codes).items()
        if isinstance(value, type) and issubclass(value, IntEnum | IntFlag) and len(value)
    ]
    assert sorted(ours) == ENUMERATIONS


@pytest.mark.parametrize("name", ENUMERATIONS)
def test_codes_agree(name: str) -> None:
    ours = {code.name: code.value for code in getattr(codes, name)}
    assert ours == native.codes()[name]


def test_limits_agree() -> None:
    ours = {name: value for name, value in vars(codes).items() if name.endswith("_MAX")}
    assert ours == native.limits()


def test_command_layout_agrees() -> None:
    assert dtype_layout(codes.COMMAND_DTYPE) == native.command_layout()


def test_event_layout_agrees() -> None:
    assert dtype_layout(codes.EVENT_DTYPE) == native.event_layout()


@pytest.mark.parametrize("dtype", [codes.COMMAND_DTYPE, codes.EVENT_DTYPE], ids=["command", "event"])
def test_records_have_no_gaps(dtype: np.dtype) -> None:
    sizes = [size for _, size in dtype_layout(dtype).values()]
    offsets = [offset for offset, _ in dtype_layout(dtype).values()]
    assert offsets == [sum(sizes[:at]) for at in range(len(sizes))]
    assert sum(sizes) == dtype.itemsize and dtype.itemsize % 8 == 0


def test_reference_reads_every_field_of_a_command_and_writes_every_one_of_an_event() -> None:
    assert set(COMMAND_FIELDS) == set(codes.COMMAND_DTYPE.names or ())
    assert set(EVENT_FIELDS) | {"reserved"} == set(codes.EVENT_DTYPE.names or ())


def test_engines_have_the_same_doors() -> None:
    doors = {name for name in vars(native.NativeEngine) if not name.startswith("_")}
    assert doors - {"snapshot", "restore", "load"} <= set(dir(ReferenceEngine))


def test_committed_stub_is_the_generated_one(tmp_path: Path) -> None:
    generated = tmp_path / "_engine.pyi"
    command = [
        sys.executable,
        "-m",
        "nanobind.stubgen",
        "-q",
        "-m",
        "openbell_engine._engine",
        "-o",
        generated,
    ]
    subprocess.run(command, check=True, timeout=60)
    assert STUB.read_text() == generated.read_text()
