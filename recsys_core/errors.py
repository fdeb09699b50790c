"""The errors that a user may meet: each message says what was expected, what was found and what to do.

Anything else that escapes is a fault of ours and keeps its traceback.
"""


class RecsysError(Exception):
    """A problem that the user can mend; the command line shows its message alone, without a traceback."""


class SettingsError(RecsysError):
    """A setting is unknown, out of its bounds, or contradicts another."""


class DataError(RecsysError):
    """Bytes from outside (a data set, a log, a download) are not what they claim to be."""


class ArtifactError(RecsysError):
    """Something in the lake is missing, damaged, or does not fit what it is used with."""


class LogError(RecsysError):
    """The event log cannot be read or written: damaged, full, of a newer version, or out of reach."""


class UnknownUserError(RecsysError):
    """A request names a user of whom nothing is known."""
