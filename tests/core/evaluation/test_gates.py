"""What must hold before anything is shown: each gate closes on what it guards against."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from recsys_core.data.splits import TEST
from recsys_core.evaluation.funnel import Stages
from recsys_core.evaluation.gates import (
    SegmentLead,
    beats,
    denominators_agree,
    funnel_is_whole,
    missing_baselines,
    worst_segment,
)
from recsys_core.evaluation.protocols import NEWCOMERS, PROTOCOLS, REFITTED
from recsys_core.evaluation.report import (
    ALL_WINDOWS,
    DEVELOPMENT,
    OURS,
    POPULARITY,
    RETRIEVAL_ONLY,
    Answered,
    EvalReport,
)
from tests.core.evaluation.conftest import Judged


def ideal(judged: Judged) -> Judged:
    """Targets first, for as far as they are among the found."""

    def best(one: Answered) -> Stages:
        wanted = set(one.questions.targets.select("user_id", "item_id").iter_rows())
        ids, ranked, users = one.stages.catalogue.item_ids, one.stages.ranked, one.stages.users.user_ids
        misses = [
            [item < 0 or (user, ids[item]) not in wanted for item in own]
            for user, own in zip(users, ranked, strict=True)
        ]
        first = np.argsort(misses, axis=1, kind="stable")
        return replace(one.stages, ranked=np.take_along_axis(ranked, first, axis=1))

    return judged.with_stages(best)


def test_a_report_made_by_evaluate_is_whole(report: EvalReport) -> None:
    assert funnel_is_whole(report)
    assert denominators_agree(report)


def test_a_clear_lead_beats(judged: Judged) -> None:
    report = ideal(judged).report()
    assert beats(report, POPULARITY)
    assert beats(report, RETRIEVAL_ONLY)


def test_no_lead_does_not_beat(judged: Judged) -> None:
    lazy = judged.with_stages(lambda one: replace(one.stages, ranked=one.stages.found)).report()
    assert not beats(lazy, RETRIEVAL_ONLY)


@pytest.mark.parametrize(("low", "passes"), [(-0.01, False), (0.0, False), (float("nan"), False), (0.001, True)])
def test_the_lower_bound_decides_not_the_mean(report: EvalReport, low: float, passes: bool) -> None:  # noqa: FBT001  # a case of the table above
    claimed = replace(report, comparison=report.comparison.with_columns(mean=pl.lit(0.3), low=pl.lit(low)))
    assert beats(claimed, POPULARITY) is passes


def test_an_unknown_model_is_an_error_not_a_pass(report: EvalReport) -> None:
    with pytest.raises(pl.exceptions.OutOfBoundsError):
        beats(report, "no such model")


def test_a_lost_target_opens_a_hole_in_the_funnel(report: EvalReport) -> None:
    assert not funnel_is_whole(replace(report, fates=report.fates.head(-1)))


def test_a_target_with_two_fates_is_seen(report: EvalReport) -> None:
    twice = pl.concat([report.fates.head(-1), report.fates.head(1).with_columns(fate=pl.lit("hit"))])
    assert twice.height == report.fates.height
    assert not funnel_is_whole(replace(report, fates=twice))


def test_a_fate_left_out_of_the_funnel_is_seen(report: EvalReport) -> None:
    assert not funnel_is_whole(replace(report, funnel=report.funnel.filter(pl.col("fate") != "hit")))


def test_targets_dropped_before_the_funnel_are_seen(judged: Judged, report: EvalReport) -> None:
    """Fates and funnel agree with each other, but the metrics count more."""
    fewer = judged.with_targets(lambda targets: targets.head(-1)).report()
    assert not funnel_is_whole(replace(report, fates=fewer.fates, funnel=fewer.funnel))


def test_the_funnel_is_that_of_the_test_alone(judged: Judged, report: EvalReport) -> None:
    """Targets that are lost elsewhere are no hole in it."""
    elsewhere = [one for one in judged.answered if one.questions.window != TEST]
    fewer = replace(judged, answered=[*elsewhere[:-1], *judged.of(REFITTED, TEST)]).report()
    assert funnel_is_whole(fewer)
    assert not funnel_is_whole(replace(report, fates=pl.concat([report.fates, report.fates])))


PLACES = [
    (protocol, window)
    for protocol in PROTOCOLS
    for window in (ALL_WINDOWS, DEVELOPMENT, "window_2", "window_3", "window_4", TEST)
]


@pytest.mark.parametrize(("protocol", "window"), PLACES)
@pytest.mark.parametrize("model", [POPULARITY, OURS])
def test_a_model_that_drops_users_anywhere_is_seen(report: EvalReport, protocol: str, window: str, model: str) -> None:
    here = (pl.col("protocol") == protocol) & (pl.col("window") == window) & (pl.col("model") == model)
    assert report.summary.filter(here).height > 0
    fewer = report.summary.with_columns(n=pl.when(here).then(pl.col("n") - 1).otherwise("n"))
    assert not denominators_agree(replace(report, summary=fewer))
    assert not denominators_agree(replace(report, summary=report.summary.filter(~here)))


def test_users_dropped_by_all_models_alike_are_seen(report: EvalReport) -> None:
    assert not denominators_agree(replace(report, summary=report.summary.with_columns(n=pl.col("n") - 1)))


def test_a_window_that_nobody_was_asked_in_is_seen(report: EvalReport) -> None:
    """Rows of a window in the summary without any user behind them."""
    invented = report.summary.filter(window=TEST).with_columns(window=pl.lit("window_99"))
    assert not denominators_agree(replace(report, summary=pl.concat([report.summary, invented])))


def test_ours_is_among_the_models(report: EvalReport) -> None:
    assert OURS in report.per_user["model"].to_list()


def test_a_baseline_that_is_missing_is_named(report: EvalReport) -> None:
    """The report of this test has two of the five."""
    others = {"recent_popularity", "item_knn", "ials"}
    assert missing_baselines(report) == others
    ours = report.summary.filter(model=OURS)
    summary = pl.concat([report.summary, *(ours.with_columns(model=pl.lit(name)) for name in others)])
    assert missing_baselines(replace(report, summary=summary)) == set()


@pytest.mark.parametrize(("protocol", "window"), [(REFITTED, TEST), (NEWCOMERS, "window_2"), (REFITTED, ALL_WINDOWS)])
def test_a_baseline_that_is_missing_from_one_window_is_named(report: EvalReport, protocol: str, window: str) -> None:
    gap = (pl.col("protocol") == protocol) & (pl.col("window") == window) & (pl.col("model") == POPULARITY)
    assert POPULARITY in missing_baselines(replace(report, summary=report.summary.filter(~gap)))


def slices_of(leads: dict[str, tuple[float, float, int]]) -> pl.DataFrame:
    """Our mean, that of popularity, and the number of users of each slice."""
    rows = [
        {"model": model, "dimension": "activity", "slice": name, "mean": mean, "n": n}
        for name, (ours, theirs, n) in leads.items()
        for model, mean in ((OURS, ours), (POPULARITY, theirs))
    ]
    return pl.DataFrame(rows)


def test_the_worst_slice_counts_however_good_the_mean(report: EvalReport) -> None:
    slices = slices_of({"many": (0.5, 0.1, 900), "few": (0.1, 0.2, 30), "some": (0.3, 0.25, 70)})
    worst = worst_segment(replace(report, user_slices=slices), POPULARITY)
    assert worst == SegmentLead(name="activity: few", lead=pytest.approx(-0.1), n=30)


def test_a_slice_of_too_few_users_is_not_judged(report: EvalReport) -> None:
    slices = slices_of({"many": (0.5, 0.1, 900), "too few": (float("nan"), float("nan"), 3)})
    worst = worst_segment(replace(report, user_slices=slices), POPULARITY)
    assert worst
    assert worst.name == "activity: many"
    assert worst_segment(replace(report, user_slices=slices.tail(2)), POPULARITY) is None
    assert worst_segment(replace(report, user_slices=slices), "no such model") is None


def test_the_worst_slice_of_a_whole_report_is_one_of_its_slices(report: EvalReport) -> None:
    worst = worst_segment(report, POPULARITY)
    assert worst
    dimension, name = worst.name.split(": ")
    ours, theirs = (
        report.user_slices.filter(model=model, dimension=dimension, slice=name)["mean"].item()
        for model in (OURS, POPULARITY)
    )
    assert worst.lead == pytest.approx(ours - theirs)
