"""The demo's logins: made once, kept in ``demo.json``, readable by its owner alone."""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

WORDS = (
    "amber anchor apple arrow autumn badge bamboo barley beacon birch blossom breeze bridge bronze candle "
    "canyon cedar cherry clover cobalt comet copper coral cotton crystal daisy delta ember falcon feather "
    "fern forest garnet ginger glacier granite harbor hazel heron indigo island ivory jasmine juniper "
    "lagoon lantern lemon linden lotus maple marble meadow mellow mimosa nectar nickel nutmeg oak ocean "
    "olive onyx opal orbit orchid otter pearl pebble pepper pine planet plum poplar prairie quartz raven "
    "reef river robin rowan saffron sage sierra silver sparrow spruce summit sunset tango thistle timber "
    "topaz tulip velvet violet walnut willow"
).split()


@dataclass(frozen=True, slots=True)
class TraderLogin:
    """A trader's way in: by password on the pages, by key pair through the API."""

    username: str
    password: str
    key_id: str
    secret: str


@dataclass(frozen=True, slots=True)
class StaffLogin:
    """The administrator's way in."""

    username: str
    password: str


@dataclass(frozen=True, slots=True)
class Credentials:
    """All of ``demo.json``."""

    url: str
    users: tuple[TraderLogin, ...]
    admin: StaffLogin

    def trader(self, username: str) -> TraderLogin | None:
        """Return a trader's login, None when the file does not have it."""
        return next((user for user in self.users if user.username == username), None)


def password_make() -> str:
    """Return a new password that can be read out: three words and four digits, about 33 random bits."""
    words = "-".join(secrets.choice(WORDS) for _ in range(3))
    return f"{words}-{secrets.randbelow(10_000):04d}"


def credentials_read(path: Path) -> Credentials | None:
    """Return what the file holds, None when there is none or it is not whole."""
    try:
        content = json.loads(path.read_text())
        users = tuple(TraderLogin(**user) for user in content["users"])
        return Credentials(content["url"], users, StaffLogin(**content["admin"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def credentials_write(path: Path, credentials: Credentials) -> None:
    """Write the file whole or not at all; nobody but its owner can ever open it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.new")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(asdict(credentials), file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
