"""What can go wrong while the platform is started, each with a sentence for the person at the terminal."""


class SupervisorError(Exception):
    """Starting or stopping failed; the message says what to do about it."""


class AlreadyRunning(SupervisorError):
    """Another supervisor holds this data folder."""


class StopRequested(Exception):
    """The person or the system asked to stop while something was still starting."""
