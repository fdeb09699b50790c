"""Numbers have few digits, and those of other settings have names of their own."""

import pytest

from recsys_assets.metadata.numbers import rounded, shown


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (0.17953216783, 0.1795),
        (-0.000123456, -0.0001235),
        (12345.678, 12345.7),
        (0.0, 0.0),
        (7, 7),
        ("0.123456", "0.123456"),
    ],
)
def test_a_float_has_four_digits_that_count(value: object, seen: object) -> None:
    assert rounded(value) == seen
    assert isinstance(rounded(value), type(value))


def test_numbers_of_other_settings_are_lines_of_their_own_in_the_plots() -> None:
    metadata = {"ndcg@10": 0.123456, "n_users": 3, "dagster/row_count": 5, "results": "| a |"}
    assert shown(metadata, "") == {"ndcg@10": 0.1235, "n_users": 3, "dagster/row_count": 5, "results": "| a |"}
    assert list(shown(metadata, "trial")) == ["ndcg@10 (trial)", "n_users (trial)", "dagster/row_count", "results"]
