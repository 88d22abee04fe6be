"""Whom the database servers run as, and how they reach their files when root's folders are closed to them."""

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from brokerage.supervisor.errors import SupervisorError

SERVER_ACCOUNT_NAME = "openbell"
# Where copies of server binaries go when they lie in a folder that only root can enter.
SHARED_BINARIES = Path("/var/lib/openbell")


class Credentials(TypedDict, total=False):
    """The keyword arguments that make subprocess give up root."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Account:
    """The user a server runs as; `is_other` when that is not the user who starts it."""

    uid: int
    gid: int
    is_other: bool

    def credentials(self) -> Credentials:
        """Return what subprocess needs to become this user, nothing when we already are."""
        return Credentials(user=self.uid, group=self.gid, extra_groups=[]) if self.is_other else Credentials()

    def own(self, path: Path) -> None:
        """Give one file or folder to this user."""
        if self.is_other:
            os.chown(path, self.uid, self.gid)

    def can_use(self, path: Path) -> bool:
        """Say whether this user can read the file, or enter the folder, through all its parent folders."""
        script = 'test -r "$1" && { test ! -d "$1" || test -x "$1"; }'
        command = ["/bin/sh", "-c", script, "sh", str(path)]
        return subprocess.run(command, cwd="/", check=False, **self.credentials()).returncode == 0


def server_account() -> Account:
    """Return the current user, or for root an unprivileged one: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), is_other=False)
    entry = _account_find(SERVER_ACCOUNT_NAME) or _account_create() or _account_find("nobody")
    if entry is None or entry.pw_uid == 0:
        raise SupervisorError("No unprivileged user for the database servers: create a user named openbell.")
    return Account(entry.pw_uid, entry.pw_gid, is_other=True)


def binaries_share(source: Path, members: tuple[str, ...], probe: str, account: Account) -> Path:
    """Return a folder with these members that the account can execute from: `source` itself, or a copy of it.

    The copy lies outside root's folders, so that no permission of theirs has to be widened.
    """
    if all(account.can_use(source / name) for name in (probe, *members)):
        return source
    target = SHARED_BINARIES / f"{Path(members[0]).parts[0]}-{_tree_digest(source, members)}"
    if not target.is_dir():
        _tree_copy(source, members, target)
    if not account.can_use(target / probe):
        raise SupervisorError(f"The database servers' user cannot enter {target}: open it for reading.")
    return target


def _account_find(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _account_create() -> pwd.struct_passwd | None:
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd is None:
        return None
    command = [useradd, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    command += ["--shell", "/usr/sbin/nologin", SERVER_ACCOUNT_NAME]
    subprocess.run(command, check=False, capture_output=True)
    # Two supervisors may have raced: what counts is that the user exists now.
    return _account_find(SERVER_ACCOUNT_NAME)


def _tree_digest(source: Path, members: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for member in members:
        for path in sorted((source / member).rglob("*")):
            entry = path.lstat()
            digest.update(f"{path.relative_to(source)}:{entry.st_size}:{int(entry.st_mtime)}\n".encode())
    return digest.hexdigest()[:16]


def _tree_copy(source: Path, members: tuple[str, ...], target: Path) -> None:
    SHARED_BINARIES.mkdir(parents=True, exist_ok=True, mode=0o755)
    aside = Path(tempfile.mkdtemp(dir=SHARED_BINARIES, prefix=".copying-"))
    try:
        for member in members:
            shutil.copytree(source / member, aside / member, symlinks=True)
        for path in (aside, *aside.rglob("*")):
            if not path.is_symlink():
                executable = path.is_dir() or path.stat().st_mode & 0o100
                path.chmod(0o755 if executable else 0o644)
        try:
            aside.rename(target)
        except OSError:
            # Somebody else finished the same copy first.
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
