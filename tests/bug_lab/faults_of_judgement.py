"""Faults that make a result look better, or surer, than it is: pitfalls 6 to 12, 27 and 28."""

from benchmarks import seeds
from recsys_core.evaluation import accuracy, segments
from recsys_core.evaluation.accuracy import _compared, per_user_metrics
from recsys_core.evaluation.baselines import tuning
from recsys_core.evaluation.baselines.tuning import tune
from recsys_core.evaluation.gates import beats, denominators_agree, missing_baselines, worst_segment
from recsys_core.evaluation.rendering import headline_cells
from recsys_core.evaluation.segments import metric_by_segment, user_segments
from recsys_core.metrics.ranked_lists import _keys, refuse_repeats, sort_keys
from recsys_core.metrics.ranking import _discount, average_precision_at_k, recall_at_k
from recsys_core.metrics.uncertainty import _estimate
from recsys_core.ranking.diagnostics import _per_user, validate_ranker
from recsys_core.ranking.lists import order_of
from recsys_core.retrieval.index import ExactSearch
from tests.bug_lab.fault import Fault

FAULTS_OF_JUDGEMENT = (
    Fault(
        number=6,
        what="the ideal list contains only retrieved targets",
        where=_per_user,
        before='n_targets["n_targets"].to_numpy()',
        after="np.maximum(hits.sum(axis=1), 1)",
        tests=(
            "tests/core/ranking/test_diagnostics.py::test_both_orders_by_hand",
            "tests/core/ranking/test_diagnostics.py::test_no_ranker_passes_the_ceiling_that_retrieval_sets",
        ),
    ),
    Fault(
        number=6,
        what="only targets that some model listed count",
        where=per_user_metrics,
        before="relevant_items(targets, user_ids)",
        after='relevant_items(targets.join(lists, on=["user_id", "item_id"], how="semi"), user_ids)',
        tests=("tests/core/evaluation/test_accuracy.py::test_targets_that_retrieval_missed_count_in_the_ideal",),
    ),
    Fault(
        number=7,
        what="a metric over sampled items is reported",
        where=(accuracy, "METRICS"),
        before='"hit@10"',
        after='"sampled_hit@10"',
        tests=("tests/core/evaluation/test_accuracy.py::test_only_metrics_over_the_full_catalogue_are_reported",),
    ),
    Fault(
        number=7,
        what="the search covers only a part of the catalogue",
        where=ExactSearch.search,
        before="scores = queries @ self.vectors.T",
        after="""
            scores = queries @ self.vectors.T
            scores[:, ::2] = -np.inf
        """,
        tests=(
            "tests/core/retrieval/test_candidates.py::"
            "test_who_has_rated_the_best_items_still_gets_a_full_list[exact_candidates]",
        ),
    ),
    Fault(
        number=8,
        what="the discount of NDCG starts one rank late",
        where=_discount,
        before="np.arange(2, k + 2)",
        after="np.arange(3, k + 3)",
        tests=("tests/core/metrics/test_ranking.py::test_1000_random_users_agree_with_pytrec_eval[10]",),
    ),
    Fault(
        number=8,
        what="recall divides by the length of the list",
        where=recall_at_k,
        before="_or_nan(n_relevant)",
        after="_or_nan(np.minimum(n_relevant, hits.shape[1]))",
        tests=("tests/core/metrics/test_ranking.py::test_1000_random_users_agree_with_pytrec_eval[10]",),
    ),
    Fault(
        number=8,
        what="average precision divides by the number of hits",
        where=average_precision_at_k,
        before='np.minimum(n_relevant, k) if denominator == "reachable" else n_relevant',
        after="np.maximum(hits.sum(axis=1), n_relevant > 0)",
        tests=(
            "tests/core/metrics/test_ranking.py::test_a_list_worked_out_by_hand",
            "tests/core/metrics/test_ranking.py::test_1000_random_users_agree_with_pytrec_eval[10]",
        ),
    ),
    Fault(
        number=8,
        what="raw user and item ids are packed into one integer, which overflows",
        where=_keys,
        before="""
            width = len(known) + 1
            wanted = np.searchsorted(known, relevant.items)
        """,
        after="""
            listed, wanted = ranked + 1, relevant.items + 1
            width = max(listed.max(), wanted.max()) + 1
        """,
        tests=("tests/core/metrics/test_ranked_lists.py::test_one_huge_id_turns_no_miss_into_a_hit",),
    ),
    Fault(
        number=8,
        what="an item counts once per repetition in a list",
        where=refuse_repeats,
        before='raise DataError("an item appears twice in a ranked list: each item may be recommended once")',
        after="return",
        tests=("tests/core/metrics/test_ranked_lists.py::test_a_list_that_repeats_an_item_is_refused",),
    ),
    Fault(
        number=9,
        what="users without a list are dropped from the mean",
        where=per_user_metrics,
        before='user_ids = targets["user_id"].unique().sort().to_numpy()',
        after="""
            targets = targets.join(lists, on="user_id", how="semi")
            user_ids = targets["user_id"].unique().sort().to_numpy()
        """,
        tests=("tests/core/evaluation/test_accuracy.py::test_a_user_whom_a_model_does_not_list_scores_zero_and_stays",),
    ),
    Fault(
        number=9,
        what="the ranker is evaluated only on users with a like among the candidates",
        where=validate_ranker,
        before="rows, n_targets = examples.of_window(window), examples.targets_of(window)",
        after="""
            rows, n_targets = examples.of_window(window), examples.targets_of(window)
            rows = rows.filter(pl.col("label").sum().over("user_id") > 0)
            n_targets = n_targets.join(rows, on="user_id", how="semi")
        """,
        tests=("tests/core/ranking/test_diagnostics.py::test_both_orders_by_hand",),
    ),
    Fault(
        number=9,
        what="the check of the denominators trusts the report",
        where=denominators_agree,
        before="return bool(both.select(is_right.fill_null(value=False).all()).item())",
        after="return True",
        tests=(
            "tests/core/evaluation/test_gates.py::test_a_model_that_drops_users_anywhere_is_seen",
            "tests/core/evaluation/test_gates.py::test_users_dropped_by_all_models_alike_are_seen",
        ),
    ),
    Fault(
        number=10,
        what="ties are broken by item id",
        where=sort_keys,
        before="(~rising).astype(np.int64) << 32 | tie_break",
        after="(~rising).astype(np.int64) << 32 | np.arange(len(tie_break))",
        tests=("tests/core/metrics/test_ranked_lists.py::test_a_constant_scorer_earns_what_chance_would",),
    ),
    Fault(
        number=10,
        what="a constant ranker reverses the order",
        where=order_of,
        before='np.argsort(-scores, axis=-1, kind="stable")',
        after='np.argsort(scores, axis=-1, kind="stable")[..., ::-1]',
        tests=("tests/core/ranking/test_lists.py::test_equal_scores_keep_the_order_of_retrieval",),
    ),
    Fault(
        number=11,
        what="a strong baseline is left out",
        where=(tuning, "BASELINES"),
        before='Baseline(name="ease", fit=lambda train, config, _: fit_ease(train, config), grid=EASE_GRID)',
        after="*()",
        tests=(
            "tests/core/evaluation/baselines/test_tuning.py::"
            "test_every_report_has_the_five_baselines_that_the_docs_promise",
        ),
    ),
    Fault(
        number=11,
        what="a report without one of the baselines passes",
        where=missing_baselines,
        before='{baseline.name for baseline in BASELINES} - set(everywhere["model"])',
        after="set()",
        tests=("tests/core/evaluation/test_gates.py::test_a_baseline_that_is_missing_is_named",),
    ),
    Fault(
        number=11,
        what="some baselines get one setting, the others the whole budget",
        where=tune,
        before="config.n_trials",
        after='1 if baseline.name == "ease" else config.n_trials',
        tests=(
            "tests/core/evaluation/baselines/test_tuning.py::test_all_baselines_get_the_same_number_of_trials",
            "tests/core/evaluation/baselines/test_tuning.py::test_the_lists_of_all_baselines_took_the_same_number_of_trials",
        ),
    ),
    Fault(
        number=12,
        what="a lead in the mean passes, whatever its interval",
        where=beats,
        before="report.lead_over(other)[1]",
        after="report.lead_over(other)[0]",
        tests=("tests/core/evaluation/test_gates.py::test_the_lower_bound_decides_not_the_mean",),
    ),
    Fault(
        number=12,
        what="models are compared on different users",
        where=_compared,
        before='per_user.filter(model=model).sort("user_id", maintain_order=True)',
        after="per_user.filter(model=model)",
        tests=("tests/core/evaluation/test_accuracy.py::test_pairs_are_made_by_user_not_by_row",),
    ),
    Fault(
        number=27,
        what="intervals have no width",
        where=_estimate,
        before="[(1 - level) / 2, (1 + level) / 2]",
        after="[0.5, 0.5]",
        tests=("tests/core/evaluation/test_report.py::test_every_headline_has_its_interval",),
    ),
    Fault(
        number=27,
        what="the headline shows means without intervals",
        where=headline_cells,
        before="f\"{row['mean']:.3f}{interval}\"",
        after="f\"{row['mean']:.3f}\"",
        tests=(
            "tests/core/evaluation/test_rendering.py::test_the_headline_has_every_model_best_first_with_its_interval",
        ),
    ),
    Fault(
        number=27,
        what="the spread over seeds uses two seeds",
        where=seeds.main,
        before="[17, 18, 19]",
        after="[17, 18]",
        tests=("tests/project/test_benchmarks.py::test_the_spread_over_seeds_is_taken_over_three_at_least",),
    ),
    Fault(
        number=28,
        what="new users are not a segment of their own",
        where=user_segments,
        before='pl.when(is_known).then(pl.lit("known when fitted")).otherwise(pl.lit("new since"))',
        after='pl.lit("known when fitted")',
        tests=("tests/core/evaluation/test_segments.py::test_users_without_a_rating_before_the_fit_are_new",),
    ),
    Fault(
        number=28,
        what="the tail of the catalogue is merged into the middle",
        where=(segments, "POPULARITY_BANDS"),
        before='((0.0, 0.5, "head"), (0.5, 0.8, "middle"), (0.8, 1.01, "tail"))',
        after='((0.0, 0.5, "head"), (0.5, 1.01, "middle"))',
        tests=("tests/core/evaluation/test_segments.py::test_item_bands_by_hand",),
    ),
    Fault(
        number=28,
        what="a segment of three users gets a metric",
        where=metric_by_segment,
        before="config.n_slice_users",
        after="2",
        tests=("tests/core/evaluation/test_segments.py::test_a_slice_of_too_few_users_is_listed_without_figures",),
    ),
    Fault(
        number=28,
        what="the best segment is reported as the worst",
        where=worst_segment,
        before="leads.row(0, named=True)",
        after="leads.row(-1, named=True)",
        tests=("tests/core/evaluation/test_gates.py::test_the_worst_slice_counts_however_good_the_mean",),
    ),
)
