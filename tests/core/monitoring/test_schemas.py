"""The reports of this stage are as their schemas describe them."""

import polars as pl
import pytest
from pandera.errors import SchemaError

from recsys_core.monitoring import schemas
from recsys_core.monitoring.config import DriftConfig, ReferenceConfig
from recsys_core.monitoring.parity import ParityReport, parity_report
from recsys_core.monitoring.reference import make_reference
from recsys_core.monitoring.served import Served
from recsys_core.monitoring.watch import Watch, watch
from recsys_core.serving.bundle import Bundle


@pytest.fixture(scope="module")
def parity(release: Bundle, past: Served) -> ParityReport:
    return parity_report(past, release)


def looked_at(past: Served, min_clusters: int) -> Watch:
    config = DriftConfig(min_clusters=min_clusters, n_permutations=700)
    return watch(make_reference(past.sample(), ReferenceConfig()), past, past, config)


def test_parity_keeps_its_schemas(parity: ParityReport) -> None:
    schemas.PARITY_COLUMNS.validate(parity.columns)
    schemas.PARITY_ABOUT.validate(parity.about)


def test_a_negative_count_is_refused(parity: ParityReport) -> None:
    with pytest.raises(SchemaError):
        schemas.PARITY_ABOUT.validate(parity.about.with_columns(n_absent=pl.lit(-1, pl.Int64)))


@pytest.mark.parametrize("min_clusters", [2, 1_000])
def test_drift_keeps_its_schemas_whether_it_can_judge_or_not(past: Served, min_clusters: int) -> None:
    found = looked_at(past, min_clusters)
    assert found.drift.is_judged == (min_clusters == 2)
    schemas.DRIFT_COLUMNS.validate(found.drift.columns)
    schemas.DRIFT_ABOUT.validate(found.drift.about)
    schemas.DRIFT_PERIODS.validate(found.periods)
    schemas.DRIFT_SOURCE.validate(pl.DataFrame({"source": [found.source]}))
