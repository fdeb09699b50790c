"""Settings that no asset's form repeats yet are held to the same rules."""

import pytest
from pydantic import BaseModel, ValidationError

from recsys_core.monitoring.config import DriftConfig, ReferenceConfig


@pytest.mark.parametrize("settings", [ReferenceConfig, DriftConfig])
def test_every_setting_of_drift_has_bounds_and_a_reason(settings: type[BaseModel]) -> None:
    for name, field in settings.model_fields.items():
        assert field.description, name
        assert field.metadata, name


def test_a_setting_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValidationError, match="alfa"):
        DriftConfig(alfa=0.01)  # type: ignore[call-arg]  # the point of the test
