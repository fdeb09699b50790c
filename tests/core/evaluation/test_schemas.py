"""The report is as its schemas describe it."""

from dataclasses import fields

import pandera.polars as pa
import polars as pl
import pytest
from pandera.errors import SchemaError

from recsys_core.evaluation import schemas
from recsys_core.evaluation.baselines.config import BaselinesConfig
from recsys_core.evaluation.baselines.tuning import baseline_lists
from recsys_core.evaluation.report import EvalReport
from tests.core.evaluation.conftest import Judged
from tests.core.worlds import TinyRun

DECLARED = {one.name: one for one in vars(schemas).values() if isinstance(one, pa.DataFrameSchema)}


def test_every_table_of_the_report_keeps_its_schema(report: EvalReport) -> None:
    assert DECLARED.keys() - {schemas.BASELINE_LISTS.name, schemas.RANKED_LISTS.name, schemas.TRIALS.name} == {
        field.name for field in fields(EvalReport)
    }
    for field in fields(EvalReport):
        DECLARED[field.name].validate(getattr(report, field.name))


def test_the_lists_of_the_baselines_keep_theirs(judged: Judged) -> None:
    schemas.BASELINE_LISTS.validate(judged.baselines)
    with pytest.raises(SchemaError):
        schemas.BASELINE_LISTS.validate(judged.baselines.with_columns(protocol=pl.lit("by heart")))


def test_every_column_is_described() -> None:
    columns = [(name, column, of) for name, one in DECLARED.items() for column, of in one.columns.items()]
    assert [(name, column) for name, column, of in columns if not of.description] == []


def test_a_share_above_one_is_refused(report: EvalReport) -> None:
    with pytest.raises(SchemaError):
        schemas.FUNNEL.validate(report.funnel.with_columns(share=pl.col("share") + 1.5))


def test_trials_keep_their_schema(tiny: TinyRun) -> None:
    trials = baseline_lists(tiny.ratings, tiny.splits, BaselinesConfig(n_trials=2)).trials
    schemas.TRIALS.validate(trials)
    with pytest.raises(SchemaError):
        schemas.TRIALS.validate(pl.concat([trials, trials]))
