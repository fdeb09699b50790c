"""How a failed step says what to do: its description is the sentence that the command line would print."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from recsys_core.errors import RecsysError, machine_errors_explained


@contextmanager
def failures_with_remedy() -> Iterator[None]:
    """Turn a problem that the user can mend into a failure that names the remedy.

    Raises:
        dg.Failure: caused by the `RecsysError`. The UI shows its description by itself, not below a traceback. Dagster
            does not try again, since it would meet the same problem.
    """
    try:
        with machine_errors_explained():
            yield
    except RecsysError as problem:
        raise dg.Failure(description=str(problem), allow_retries=False) from problem
