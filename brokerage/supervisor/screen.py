"""What the person at the terminal reads."""

import contextlib
import json
import sys
from pathlib import Path

from brokerage.supervisor.state import RunState


def say(text: str, is_error: bool = False) -> None:
    """Print at once; a terminal that has gone away must not keep the platform from stopping in order."""
    stream = sys.stderr if is_error else sys.stdout
    with contextlib.suppress(OSError, ValueError):
        stream.write(text + "\n")
        stream.flush()


def welcome_text(url: str, var: Path) -> str:
    """Return the block that ends a successful start: the address and the demo logins."""
    lines = ["", f"  Openbell is ready:  {url}", ""]
    lines += [f"    {role:<8} {username} / {password}" for role, username, password in _logins(var)]
    lines += ["", f"  Logs in {var / 'log'}; stop with `make down` (or Ctrl-C where it runs in front).", ""]
    return "\n".join(lines)


def status_text(state: RunState) -> str:
    """Return the table of `status`."""
    lines = [f"Openbell is {state.phase}{f' at {state.url}' if state.url else ''} (supervisor {state.pid})"]
    lines.append(f"{'process':<12} {'state':<10} {'pid':>8} {'port':>6} {'restarts':>8}  since")
    for line in state.processes:
        port = str(line.port or "")
        row = f"{line.name:<12} {line.state:<10} {line.pid:>8} {port:>6} {line.restarts:>8}  {line.since}"
        lines.append(row)
    return "\n".join(lines)


def _logins(var: Path) -> list[tuple[str, str, str]]:
    try:
        content = json.loads((var / "demo.json").read_text())
        people = [("trader", user["username"], user["password"]) for user in content["users"]]
        return [*people, ("admin", content["admin"]["username"], content["admin"]["password"])]
    except (OSError, ValueError, KeyError, TypeError):
        return []
