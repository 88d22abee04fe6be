"""The folder beside its place in which an export grows, until it is whole and takes its name."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from apps.primitives.errors import Conflict


@contextmanager
def aside_open(out: Path) -> Iterator[Path]:
    """Make the folder in which an export grows; it is gone when the export does not become whole.

    Raises ``Conflict`` while another process writes there, and when what is there is not what an export of
    ours has left: somebody else's folder is never emptied.
    """
    aside = out.with_name(f".{out.name}.aside")
    try:
        aside.mkdir(mode=0o750, exist_ok=True)
        opened = os.open(aside, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except (FileExistsError, NotADirectoryError):
        raise _strange(aside) from None
    try:
        _lock(opened, out)
        _begin(aside, opened)
        try:
            yield aside
        except BaseException:
            _drop(aside, opened)
            raise
    finally:
        os.close(opened)


def folder_sync(folder: Path) -> None:
    """Wait until the disk has what a folder lists; raises ``OSError``."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _lock(opened: int, out: Path) -> None:
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Conflict("export_running", f"{out} is being written by another process.") from None


def _begin(aside: Path, opened: int) -> None:
    names = os.listdir(opened)
    are_files = all(stat.S_ISREG(os.lstat(name, dir_fd=opened).st_mode) for name in names)
    if not (_is_there(aside, opened) and are_files and os.fstat(opened).st_uid == os.geteuid()):
        raise _strange(aside)
    _empty(opened)
    os.fchmod(opened, 0o750)


def _drop(aside: Path, opened: int) -> None:
    if _is_there(aside, opened):
        _empty(opened)
        aside.rmdir()


def _is_there(aside: Path, opened: int) -> bool:
    """Return whether the open folder still has its name: whole, it has taken another and stays."""
    try:
        return os.path.samestat(os.fstat(opened), os.lstat(aside))
    except FileNotFoundError:
        return False


def _empty(opened: int) -> None:
    for name in os.listdir(opened):
        os.unlink(name, dir_fd=opened)


def _strange(aside: Path) -> Conflict:
    return Conflict("export_aside", f"{aside} is there and no export of yours left it: move it away.")
