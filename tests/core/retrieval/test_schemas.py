"""The retrieval report and the baselines' trials are as their schemas describe them."""

import polars as pl
import pytest
from pandera.errors import SchemaError

from recsys_core.evaluation.baselines import baseline_lists
from recsys_core.retrieval.baselines.config import BaselinesConfig
from recsys_core.retrieval.report import retrieval_report
from recsys_core.retrieval.schemas import INDEX_RECALL, RECALL, TRIALS
from tests.core.worlds import TinyRun


def test_both_tables_of_the_report_keep_their_schemas(tiny: TinyRun) -> None:
    report = retrieval_report(tiny.ratings, tiny.splits, tiny.towers.__getitem__, tiny.index)
    RECALL.validate(report.recall)
    INDEX_RECALL.validate(report.index_recall)


def test_trials_keep_their_schema(tiny: TinyRun) -> None:
    trials = baseline_lists(tiny.ratings, tiny.splits, BaselinesConfig(n_trials=2)).trials
    TRIALS.validate(trials)
    with pytest.raises(SchemaError):
        TRIALS.validate(pl.concat([trials, trials]))
