"""Twenty ratings, one a second, whose windows one can work out by hand."""

from recsys_core.data.config import SplitsConfig

FIFTHS = SplitsConfig(first_share=0.2, n_windows=4, n_refits=2, n_teaching=1)
"""A fifth of the ratings comes first, each window is another, and half of a window is a step."""

BY_HAND = (
    (1, 1, 5.0, 0), (2, 2, 5.0, 1), (1, 3, 2.0, 2), (3, 1, 5.0, 3),  # before the windows
    (1, 2, 4.0, 4), (1, 4, 5.0, 5), (2, 1, 3.0, 6), (2, 3, 4.0, 7),  # user 1 is asked in step 1, user 2 in step 2
    (3, 2, 4.0, 8), (3, 3, 1.0, 9), (3, 4, 4.0, 10), (2, 2, 4.5, 11),  # user 3 in step 1; user 2 re-rates a like
    (4, 1, 5.0, 12), (4, 2, 2.0, 13), (1, 1, 4.0, 14), (1, 5, 5.0, 15),  # user 4 likes nothing; user 1 in step 2
    (3, 3, 5.0, 16), (3, 5, 4.0, 17), (4, 3, 5.0, 18), (4, 1, 4.0, 19),  # user 3 in step 1; user 4 re-rates a like
)  # fmt: skip
TABLES = ("cutoffs", "users", "targets")
