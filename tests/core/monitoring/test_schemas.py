"""The reports of this stage are as their schemas describe them."""

import numpy as np
import polars as pl
import pytest
from pandera.errors import SchemaError

from recsys_core.monitoring import drift, schemas
from recsys_core.monitoring import parity as parity_module
from recsys_core.monitoring.config import DriftConfig
from recsys_core.monitoring.drift_window import WindowDrift, window_drift
from recsys_core.monitoring.parity import COLUMNS, ParityReport, parity_report
from recsys_core.monitoring.reference import make_reference
from recsys_core.monitoring.served import Served
from recsys_core.serving.bundle import Bundle
from tests.core.worlds import TinyRun


@pytest.fixture(scope="module")
def parity(release: Bundle, past: Served) -> ParityReport:
    return parity_report(past, release)


def looked_at(tiny: TinyRun, past: Served, min_clusters: int) -> WindowDrift:
    config = DriftConfig(min_clusters=min_clusters, n_permutations=800, window_days=200)
    return window_drift(past, tiny.examples, tiny.window_rankers.__getitem__, config)


def test_parity_keeps_its_schemas(parity: ParityReport) -> None:
    schemas.PARITY_COLUMNS.validate(parity.columns)
    schemas.PARITY_LISTS.validate(parity.lists)
    schemas.PARITY_ABOUT.validate(parity.about)


def test_a_negative_count_is_refused(parity: ParityReport) -> None:
    with pytest.raises(SchemaError):
        schemas.PARITY_ABOUT.validate(parity.about.with_columns(n_absent=pl.lit(-1, pl.Int64)))


@pytest.mark.parametrize("min_clusters", [2, 1_000])
def test_drift_keeps_its_schemas_whether_it_can_judge_or_not(tiny: TinyRun, past: Served, min_clusters: int) -> None:
    found = looked_at(tiny, past, min_clusters)
    assert found.drift.is_judged == (min_clusters == 2)
    schemas.DRIFT_COLUMNS.validate(found.drift.columns)
    schemas.DRIFT_ABOUT.validate(found.drift.about)
    schemas.DRIFT_PERIODS.validate(found.periods)
    schemas.DRIFT_COMPARED.validate(found.compared)


def test_a_parity_report_that_breaks_its_schema_is_not_made(
    release: Bundle, past: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity_module, "COLUMNS", ("score",) * len(COLUMNS))
    with pytest.raises(SchemaError, match="column"):
        parity_report(past.of_release("of nobody"), release)


@pytest.mark.parametrize(("figure", "wrong"), [("largest_gap", 1.5), ("stability_index", -1.0)])
def test_a_drift_report_that_breaks_its_schema_is_not_made(
    past: Served, monkeypatch: pytest.MonkeyPatch, figure: str, wrong: float
) -> None:
    sample, config = past.sample(), DriftConfig(min_clusters=1_000, n_permutations=800)
    reference = make_reference(sample, config)
    monkeypatch.setattr(drift, figure, lambda before, *_: np.full(len(before), wrong))
    with pytest.raises(SchemaError, match=r"'(ks|psi)'"):
        drift.drift_report(reference, sample, config)
    if figure == "stability_index":
        with pytest.raises(SchemaError, match="'psi'"):
            drift.stability_over_time(reference, {0: sample}, config)
