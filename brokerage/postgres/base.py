"""The database engine of every alias: Django's own, but to find a session healthy costs no round trip."""

import select

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's, but for how a session is found usable before a request's first statement."""

    def is_usable(self) -> bool:
        """Ask the server only when the socket has something to say: its end, or a notice.

        A peer that vanished without a word is found by the statement itself, as it would be by this question.
        """
        if self.connection is None or self.connection.closed:
            return False
        poll = select.poll()
        poll.register(self.connection.fileno(), select.POLLIN)
        return not poll.poll(0) or super().is_usable()
