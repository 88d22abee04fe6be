"""Log files of bounded size: one per process, the former content kept once beside it."""

import os
import shutil
from pathlib import Path
from typing import IO

LOG_SIZE_MAX = 20 * 1024 * 1024
LOG_MODE = 0o600
TAIL_LINES = 15
_TAIL_BYTES = 16 * 1024


def log_open(path: Path) -> IO[bytes]:
    """Open a log for appending; appended writes stay correct when the file is emptied under the writer.

    Its owner alone may read it: the supervisor's own shows the demo logins.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    log_bound(path)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, LOG_MODE)
    os.fchmod(descriptor, LOG_MODE)
    return os.fdopen(descriptor, "ab", buffering=0)


def log_bound(path: Path, size_max: int = LOG_SIZE_MAX) -> None:
    """Move the content aside when the file has grown too large; the writing process keeps its open file."""
    if path.exists() and path.stat().st_size > size_max:
        shutil.copy(path, path.with_name(path.name + ".1"))
        os.truncate(path, 0)


def log_tail(path: Path, lines: int = TAIL_LINES) -> str:
    """Return the last lines, for a person who has to see why something failed."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            content = file.read().decode(errors="replace")
    except OSError:
        return "(no log)"
    return "\n".join(content.rstrip().splitlines()[-lines:]) or "(the log is empty)"
