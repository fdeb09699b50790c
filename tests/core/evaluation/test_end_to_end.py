"""The whole system on every window, as it would have served."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from recsys_core.data.splits import TEST, fit_ratings, newcomers
from recsys_core.evaluation.baselines.config import BaselinesConfig
from recsys_core.evaluation.baselines.tuning import BaselineLists, baseline_lists
from recsys_core.evaluation.config import EvaluationConfig
from recsys_core.evaluation.end_to_end import SystemInputs, evaluate_end_to_end
from recsys_core.evaluation.gates import denominators_agree, funnel_is_whole
from recsys_core.evaluation.protocols import FROZEN, NEWCOMERS, REFITTED
from recsys_core.evaluation.report import ALL_WINDOWS, OURS, POPULARITY, RETRIEVAL_ONLY, EvalReport
from recsys_core.ranking.config import ListRulesConfig
from recsys_core.retrieval.config import IndexConfig
from recsys_core.retrieval.model import RetrievalModel
from tests import tiny_world
from tests.core.evaluation.conftest import Judged
from tests.core.worlds import TinyRun, run_tiny_world

CONFIG = EvaluationConfig(n_draws=200, n_slice_users=3)


def inputs_of(run: TinyRun, baselines: BaselineLists) -> SystemInputs:
    return SystemInputs(
        ratings=run.ratings,
        splits=run.splits,
        items=run.items,
        movies=run.movies,
        model_of=run.models.__getitem__,
        ranker_of=run.window_rankers.__getitem__,
        index=IndexConfig(),
        baselines=baselines,
    )


@pytest.fixture(scope="module")
def inputs(tiny: TinyRun, judged: Judged) -> SystemInputs:
    """The tiny world's system; beside it lists drawn at random for the same users."""
    return inputs_of(tiny, BaselineLists(lists=judged.baselines, trials=pl.DataFrame()))


@pytest.fixture(scope="module")
def whole(inputs: SystemInputs) -> EvalReport:
    return evaluate_end_to_end(inputs, CONFIG)


def under(inputs: SystemInputs, rules: ListRulesConfig) -> SystemInputs:
    """The same system with other list rules."""
    return replace(inputs, ranker_of=lambda window: replace(inputs.ranker_of(window), list_rules=rules))


def test_the_report_is_whole(whole: EvalReport, tiny: TinyRun) -> None:
    assert funnel_is_whole(whole)
    assert denominators_agree(whole)
    asked = tiny.splits.users.filter(pl.col("slice").is_in(tiny.splits.slices_of(TEST)))
    assert whole.fates["user_id"].unique().sort().to_list() == asked["user_id"].sort().to_list()


def test_every_user_of_every_window_is_answered_by_every_protocol(whole: EvalReport, tiny: TinyRun) -> None:
    new = newcomers(tiny.ratings, tiny.splits)
    for protocol, splits in ((REFITTED, tiny.splits), (FROZEN, tiny.splits), (NEWCOMERS, new)):
        for window in tiny.splits.evaluation_windows:
            asked = splits.users.filter(pl.col("slice").is_in(splits.slices_of(window)))["user_id"].sort()
            own = whole.per_user.filter(protocol=protocol, window=window, model=OURS)
            assert own["user_id"].to_list() == asked.to_list()


def test_it_learns_the_tastes_of_the_world(whole: EvalReport) -> None:
    """The other lists are random: a model that knows the camps finds far more, in the test and in all windows."""
    for window in (ALL_WINDOWS, TEST):
        assert whole.lead_over("ease", window=window)[1] > 0


def test_users_are_new_who_had_no_rating_before_the_cut_off(whole: EvalReport, tiny: TinyRun) -> None:
    n_new = n_users = 0
    for name in tiny.splits.evaluation_slices:
        known = set(fit_ratings(tiny.ratings, tiny.splits, name)["user_id"].to_list())
        users = tiny.splits.users_of(name).tolist()
        n_new += sum(user not in known for user in users)
        n_users += len(users)
    found = whole.user_slices.filter(model=OURS, dimension="user")
    assert found.filter(slice="new since")["n"].item() == n_new
    assert found["n"].sum() == n_users


def test_an_exact_index_misses_nothing(whole: EvalReport) -> None:
    assert whole.funnel.filter(fate="missed by the index")["n_targets"].item() == 0
    assert whole.funnel.filter(fate="filtered as seen")["n_targets"].item() == 0


def test_a_movie_that_came_out_in_the_test_is_lost_before_retrieval(inputs: SystemInputs) -> None:
    own = pl.col("slice").is_in(inputs.splits.slices_of(TEST))
    target = inputs.splits.targets.filter(own).head(1).with_columns(item_id=pl.lit(1, pl.Int64))
    splits = replace(inputs.splits, targets=pl.concat([inputs.splits.targets, target]))
    before, after = (
        evaluate_end_to_end(replace(inputs, splits=one), CONFIG).funnel.filter(fate="not in the catalogue")
        for one in (inputs.splits, splits)
    )
    assert after["n_targets"].item() == before["n_targets"].item() + 1


def test_the_answers_do_not_depend_on_the_targets(inputs: SystemInputs, whole: EvalReport) -> None:
    """Other targets for the same users: what the lists look like stays bit for bit."""
    others = pl.lit(int(tiny_world.ITEM_IDS[0]), pl.Int64)
    swapped = inputs.splits.targets.with_columns(item_id=others).unique(["slice", "user_id"], maintain_order=True)
    splits = replace(inputs.splits, targets=swapped)
    report = evaluate_end_to_end(replace(inputs, splits=splits), CONFIG)
    assert report.breadth.equals(whole.breadth)
    assert not report.per_user.equals(whole.per_user)


def test_each_window_is_answered_by_its_own_ranker_and_each_slice_by_its_own_tower(inputs: SystemInputs) -> None:
    models: list[str] = []
    windows: list[str] = []
    spied = replace(
        inputs,
        model_of=lambda name: (models.append(name), inputs.model_of(name))[1],
        ranker_of=lambda window: (windows.append(window), inputs.ranker_of(window))[1],
    )
    evaluate_end_to_end(spied, CONFIG)
    assert sorted(models) == sorted(inputs.splits.evaluation_slices), "the tower that serves knows the answers"
    assert set(windows) == set(inputs.splits.evaluation_windows)


def test_frozen_answers_are_those_of_the_models_of_the_first_step(inputs: SystemInputs, whole: EvalReport) -> None:
    """With the later steps' models damaged, they stay as they are; refitted answers do not."""
    firsts = [inputs.splits.slices_of(window)[0] for window in inputs.splits.evaluation_windows]

    def model_of(name: str) -> RetrievalModel:
        model = inputs.model_of(name)
        if name in firsts:
            return model
        ease = replace(model.ease, gains=-model.ease.gains)
        return replace(model, linear=replace(model.linear, ease=ease))

    report = evaluate_end_to_end(replace(inputs, model_of=model_of), CONFIG)
    same, other = (one.per_user.filter(protocol=FROZEN) for one in (report, whole))
    assert same.equals(other)
    assert not report.per_user.filter(protocol=REFITTED).equals(whole.per_user.filter(protocol=REFITTED))


def test_ranking_only_reorders_what_retrieval_found(whole: EvalReport) -> None:
    """All candidates are listed, so that the recall of the whole list is the same for both."""
    ours, found = (whole.per_user.filter(model=model)["recall@200"].to_numpy() for model in (OURS, RETRIEVAL_ONLY))
    assert np.array_equal(ours, found)


def test_the_judged_lists_are_those_under_the_list_rules(inputs: SystemInputs, whole: EvalReport) -> None:
    """The same candidates in another order: what is found at all stays, and the first ten change."""
    ruled = evaluate_end_to_end(under(inputs, ListRulesConfig(diversity=0.7, most_per_franchise=1)), CONFIG)
    for model in (OURS, RETRIEVAL_ONLY):
        same, plain = (report.per_user.filter(model=model) for report in (ruled, whole))
        assert same["recall@200"].equals(plain["recall@200"])
        assert same["ndcg@10"].equals(plain["ndcg@10"]) == (model == RETRIEVAL_ONLY)
    assert funnel_is_whole(ruled)


@pytest.mark.slow
def test_what_may_be_watched_again_takes_its_places_in_the_judged_lists(
    inputs: SystemInputs, whole: EvalReport
) -> None:
    """And is never a hit: in these ratings nobody rates a movie twice."""
    again = evaluate_end_to_end(under(inputs, ListRulesConfig(rewatch_after_days=30)), CONFIG)
    assert again.mean(OURS, "recall@200") < whole.mean(OURS, "recall@200")
    assert again.funnel.filter(fate="missed by the index")["n_targets"].item() == 0
    assert funnel_is_whole(again)


@pytest.mark.slow
def test_two_runs_give_one_report(inputs: SystemInputs, whole: EvalReport) -> None:
    assert evaluate_end_to_end(inputs, CONFIG).per_user.equals(whole.per_user)


def without_taste(seed: int) -> pl.DataFrame:
    """The tiny world with its items, stars included, dealt out anew among the ratings of each twentieth of time.

    Who rates when, and what is popular when, stay as they were; whom an item suits is lost.
    """
    ratings, rng = tiny_world.ratings(seed), np.random.default_rng(seed)
    parts = np.array_split(np.arange(ratings.height), 20)
    dealt = ratings[np.concatenate([rng.permutation(part) for part in parts])].select("item_id", "rating")
    mixed = ratings.with_columns(item_id=dealt["item_id"], rating=dealt["rating"])
    return mixed.unique(["user_id", "item_id"], keep="first", maintain_order=True)


def leads_over_popularity(run: TinyRun) -> list[float]:
    """Of the whole system and of retrieval alone: where scores are noise, the ranker learns to pass over them."""
    baselines = baseline_lists(run.ratings, run.splits, BaselinesConfig(n_trials=1))
    report = evaluate_end_to_end(inputs_of(run, baselines), CONFIG)
    return [report.mean(model) - report.mean(POPULARITY) for model in (OURS, RETRIEVAL_ONLY)]


@pytest.mark.slow
def test_where_taste_was_permuted_away_nothing_beats_popularity(tiny: TinyRun) -> None:
    """A copy task: all that is left to find a user's next like by, beyond popularity, is the like itself.

    With taste, the lead is 0.4. Retrieval whose tower was fitted on the answers leads here by 0.2.
    """
    leads = [leads_over_popularity(run_tiny_world(without_taste(seed))) for seed in range(3)]
    assert np.mean(leads, axis=0).max() < 0.08
    assert min(leads_over_popularity(tiny)) > 0.3
