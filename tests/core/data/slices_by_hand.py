"""A dozen ratings whose slices one can work out by hand."""

from recsys_core.data.config import SplitsConfig

QUARTERS = SplitsConfig(test_share=0.25, validation_share=0.25)
BY_HAND = (
    (1, 1, 5.0, 0), (2, 2, 5.0, 1), (1, 3, 2.0, 2), (1, 2, 4.0, 3), (1, 4, 5.0, 4), (3, 1, 5.0, 5),  # the past
    (2, 1, 3.0, 6), (2, 3, 4.0, 7), (2, 4, 5.0, 8),  # validation
    (3, 2, 4.0, 9), (4, 1, 5.0, 10), (4, 2, 2.0, 11),  # test: user 3 starts from the past; user 4 likes nothing
)  # fmt: skip
TABLES = ("cutoffs", "users", "targets")
