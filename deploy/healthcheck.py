"""Say to the container's runtime whether a server in it works: its port answers, or a page says 200."""

import os
import socket
import sys
import urllib.request

TIMEOUT_S = 5.0


def main(port: str, path: str = "") -> None:
    """Raise where the server does not answer; with a path, where the page is not there."""
    if not path:
        socket.create_connection(("127.0.0.1", int(port)), TIMEOUT_S).close()
        return
    # Django answers under its own names only; the first of them has to be a whole one.
    host = os.environ.get("ALLOWED_HOSTS", "localhost").split(",")[0].strip()
    request = urllib.request.Request(f"http://127.0.0.1:{int(port)}{path}", headers={"Host": host})
    urllib.request.urlopen(request, timeout=TIMEOUT_S).close()


if __name__ == "__main__":
    main(*sys.argv[1:])
