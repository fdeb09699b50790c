"""Random streams: one seed per run, and an independent stream for each use.

Every use of chance asks for a child by name, so that a new draw in one stage changes no other stage's draws.
"""

import hashlib

import numpy as np


def child_seed(seed: int, *names: str) -> int:
    """The seed of one named use, in [0, 2**63).

    >>> child_seed(7, "retrieval", "dropout") == child_seed(7, "retrieval", "dropout")
    True
    >>> child_seed(7, "retrieval", "dropout") == child_seed(7, "retrieval", "cuts")
    False
    """
    text = "/".join((str(seed), *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def child(seed: int, *names: str) -> np.random.Generator:
    """The generator of one named use."""
    return np.random.default_rng(child_seed(seed, *names))
