"""Bad rows are kept with their place, and a file with too many of them is refused."""

import pytest

from recsys_core.data import fields as module
from recsys_core.data.fields import BadRow, Quarantine
from recsys_core.errors import DataError


def test_a_rejected_row_keeps_its_place_and_the_start_of_its_value() -> None:
    quarantine = Quarantine("ratings.csv", 1.0)
    quarantine.add(9, BadRow("rating", "not a number", "x" * 10_000_000))
    quarantine.add(2, BadRow("", "blank line", ""))
    assert quarantine.table().rows() == [
        ("ratings.csv", 2, "", "blank line", ""),
        ("ratings.csv", 9, "rating", "not a number", "x" * 80),
    ]


def test_an_empty_quarantine_is_a_table_too() -> None:
    assert Quarantine("ratings.csv", 0.0).table().height == 0


def test_a_share_of_bad_rows_at_the_bound_is_accepted_and_one_row_more_is_not() -> None:
    quarantine = Quarantine("ratings.csv", 0.01)
    quarantine.add(5, BadRow("rating", "off the half-star grid", "3.7"))
    quarantine.check(100)
    with pytest.raises(DataError) as caught:
        quarantine.check(99)
    assert str(caught.value) == (
        "ratings.csv: 1 of 99 lines (1.0%) are bad, above the 1.0% allowed; the first is line 5, column rating: "
        "off the half-star grid ('3.7'). Fix the file, or raise max_bad_share if these rows may be lost."
    )


def test_a_hopeless_file_is_refused_before_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EARLY_STOP", 2)
    quarantine = Quarantine("ratings.csv", 0.01)
    quarantine.add(2, BadRow("", "blank line", ""))
    quarantine.check_early(2)  # one odd line at the start is no reason to stop
    quarantine.add(3, BadRow("", "blank line", ""))
    with pytest.raises(DataError, match="2 of 3 lines"):
        quarantine.check_early(3)
