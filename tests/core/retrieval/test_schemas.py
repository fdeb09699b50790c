"""The retrieval report is as its schemas describe it."""

from recsys_core.retrieval.report import retrieval_report
from recsys_core.retrieval.schemas import INDEX_RECALL, RECALL
from tests.core.worlds import TinyRun


def test_both_tables_of_the_report_keep_their_schemas(tiny: TinyRun) -> None:
    report = retrieval_report(tiny.ratings, tiny.splits, tiny.models.__getitem__, tiny.index)
    RECALL.validate(report.recall)
    INDEX_RECALL.validate(report.index_recall)
