"""The reader's settings explain themselves and refuse nonsense."""

import pytest
from pydantic import ValidationError

from recsys_core.data.config import ReadingConfig
from recsys_core.data.schemas import LATEST_TIMESTAMP


def test_every_setting_gives_the_reason_for_its_default() -> None:
    assert all(len(field.description or "") > 40 for field in ReadingConfig.model_fields.values())


@pytest.mark.parametrize(
    "setting",
    [{"max_bad_share": 1.5}, {"latest_timestamp": 0}, {"encoding": "utf-7"}, {"max_bad_shares": 0.1}],
)
def test_a_setting_out_of_bounds_or_unknown_is_refused(setting: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ReadingConfig.model_validate(setting)


def test_by_default_the_year_2100_bounds_time() -> None:
    assert ReadingConfig().latest_timestamp == LATEST_TIMESTAMP
