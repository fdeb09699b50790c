"""The ranking report is as its schemas describe it."""

from dataclasses import fields

import polars as pl
import pytest
from pandera.errors import SchemaError

from recsys_core.ranking import schemas
from recsys_core.ranking.report import RankingReport, ranking_report
from tests.core.worlds import TinyRun

TABLES = (schemas.PER_USER, schemas.IMPORTANCE, schemas.FORECASTS, schemas.RELIABILITY)


def test_every_table_of_the_report_keeps_its_schema(tiny: TinyRun) -> None:
    report = ranking_report(tiny.examples, tiny.window_rankers)
    assert [schema.name for schema in TABLES] == [field.name for field in fields(RankingReport)]
    for schema in TABLES:
        schema.validate(getattr(report, str(schema.name)))


def test_a_user_with_nothing_to_find_is_refused(tiny: TinyRun) -> None:
    schemas.N_TARGETS.validate(tiny.examples.n_targets)
    with pytest.raises(SchemaError):
        schemas.N_TARGETS.validate(tiny.examples.n_targets.with_columns(n_targets=pl.lit(0, pl.Int64)))
