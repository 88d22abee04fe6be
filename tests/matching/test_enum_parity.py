"""Both sides of the language boundary must mean the same by every code, limit and byte."""

import subprocess
import sys
from enum import IntEnum
from pathlib import Path

import numpy as np
import pytest

from apps.matching import codes, native

ENUMERATIONS = sorted(native.codes())
STUB = Path(__file__).resolve().parents[2] / "engine/bindings/openbell_engine/_engine.pyi"


def dtype_layout(dtype: np.dtype) -> dict[str, tuple[int, int]]:
    assert dtype.fields is not None
    return {name: (field[1], field[0].itemsize) for name, field in dtype.fields.items()}


def test_both_sides_have_the_same_enumerations() -> None:
    ours = [name for name, value in vars(codes).items() if isinstance(value, type) and value is not IntEnum]
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
