"""Faults of what a model knows, and when: pitfalls 1 to 5, 24, 25, 30 and 31."""

from recsys_assets.assets.evaluation import baselines
from recsys_core.data import leaks
from recsys_core.data.splits import Splits, _slice, _window, fit_ratings, known_ratings
from recsys_core.features.exposures import TimedItemLog
from recsys_core.features.point_in_time import CumulativeCounts, item_counts
from recsys_core.features.tables import item_features, item_features_by_slice, user_features_by_slice
from recsys_core.ranking.rankers import _fitted_at, _with_weight_and_calibration, fit_rankers
from recsys_core.ranking.training_rows import examples_of_slices, slice_rows
from recsys_core.retrieval.candidates import find_candidates
from recsys_core.retrieval.examples import denoising, temporal
from recsys_core.retrieval.losses import full_softmax, sampled_scores
from recsys_core.retrieval.training import _Chain
from recsys_core.serving.bundle import read_bundle
from recsys_core.serving.user_state import UserStateStore
from tests.bug_lab.fault import Fault

CHAIN = "tests/bug_lab/test_chain.py"

FAULTS_OF_TIME = (
    Fault(
        number=1,
        what="a window samples its ratings at random instead of by time",
        where=_window,
        before='ratings.filter(pl.col("timestamp").is_between(start, end, closed="left"))',
        after="ratings.sample(fraction=0.1, seed=0)",
        tests=("tests/core/data/test_splits.py::test_the_chain_by_hand",),
    ),
    Fault(
        number=1,
        what="the leak check ignores cuts within each user's own history",
        where=(leaks, "RULES"),
        before='bool((one.cuts["cut"] < one.fit_end).any())',
        after="False",
        tests=("tests/core/data/test_leaks.py::test_an_exam_cut_per_user_is_seen",),
    ),
    Fault(
        number=2,
        what="item counts include ratings after the query time",
        where=item_features,
        before='ratings.filter(pl.col("timestamp") < as_of)',
        after="ratings",
        tests=(
            "tests/core/features/test_tables.py::test_items_are_those_rated_before_and_agree_with_the_slow_loop",
            "tests/core/features/test_tables.py::test_before_the_first_rating_only_new_releases_are_known",
        ),
    ),
    Fault(
        number=2,
        what="popularity is counted over all time",
        where=item_counts,
        before="by_item.before(item_ids, times)",
        after="by_item.before(item_ids, np.full_like(times, 2**40))",
        tests=(
            "tests/core/features/test_point_in_time.py::test_item_counts_agree_with_the_slow_loop_at_any_moments",
            "tests/core/features/test_point_in_time.py::test_what_comes_later_changes_no_count_of_any_moment",
        ),
    ),
    Fault(
        number=2,
        what="item counts read the rating that later replaced another",
        where=item_features_by_slice,
        before="fit_ratings(ratings, splits, name)",
        after="ratings",
        tests=(
            "tests/core/features/test_tables.py::test_an_item_that_is_rated_again_is_counted_as_it_was_rated_at_the_time",
        ),
    ),
    Fault(
        number=2,
        what="user features are computed over the whole history, later ratings included",
        where=user_features_by_slice,
        before="user_features(known, of_slice(items, name), user_ids, times)",
        after="user_features(ratings, of_slice(items, name), user_ids, times * 0 + 2**40)",
        tests=(
            "tests/core/ranking/test_training_rows.py::test_rows_appended_to_the_future_change_no_bit_of_any_feature[0]",
        ),
    ),
    Fault(
        number=2,
        what="candidates and pair features read later ratings of the user",
        where=examples_of_slices,
        before="known_ratings(ratings, splits, name)",
        after='ratings.filter(pl.col("user_id").is_in(splits.users_of(name).tolist()))',
        tests=(
            "tests/core/ranking/test_training_rows.py::test_rows_appended_to_the_future_change_no_bit_of_any_feature[0]",
        ),
    ),
    Fault(
        number=3,
        what="the history includes the second of the target",
        where=known_ratings,
        before='pl.col("timestamp") < pl.col("cut")',
        after='pl.col("timestamp") <= pl.col("cut")',
        tests=(
            "tests/core/data/test_splits.py::test_ratings_in_the_second_of_the_first_target_are_targets_and_not_known",
            "tests/core/ranking/test_inputs.py::test_no_history_reaches_the_second_of_its_request",
        ),
    ),
    Fault(
        number=3,
        what="models are fitted on ratings in the second of the cut-off",
        where=fit_ratings,
        before='pl.col("timestamp") < splits.fit_end(name)',
        after='pl.col("timestamp") <= splits.fit_end(name)',
        tests=("tests/core/data/test_splits.py::test_a_rating_in_the_second_of_the_cut_off_is_not_fitted_on",),
    ),
    Fault(
        number=3,
        what="item counts include the second of the query",
        where=CumulativeCounts.before,
        before='np.searchsorted(self._pairs, codes[order], side="left")',
        after='np.searchsorted(self._pairs, codes[order], side="right")',
        tests=(
            "tests/core/features/test_point_in_time.py::test_totals_agree_with_the_slow_loop",
            "tests/core/features/test_point_in_time.py::test_an_event_of_the_same_second_is_not_known_yet",
            "tests/core/features/test_point_in_time.py::test_a_rating_of_the_same_second_is_not_known_yet",
        ),
    ),
    Fault(
        number=3,
        what="the history of a request includes its own second",
        where=UserStateStore.state_before,
        before="bisect_left(known.ratings, time, key=_time_of)",
        after="bisect_right(known.ratings, time, key=_time_of)",
        tests=(
            "tests/core/serving/test_user_state.py::test_a_rating_of_the_second_of_the_request_is_not_known_yet",
            "tests/core/serving/test_user_state.py::"
            "test_whatever_is_asked_and_rated_in_between_a_state_is_what_was_known_before",
        ),
    ),
    Fault(
        number=3,
        what="the input of a training example includes the second of its targets",
        where=temporal,
        before="users.timestamps < users.timestamps[cut][users.rows]",
        after="users.timestamps <= users.timestamps[cut][users.rows]",
        tests=("tests/core/retrieval/test_examples.py::test_a_temporal_example_by_hand",),
    ),
    Fault(
        number=4,
        what="the input of a training example contains its targets",
        where=denoising,
        before="Examples(inputs=_part(users, ~is_hidden), targets=_part(users, is_hidden))",
        after="Examples(inputs=users, targets=_part(users, is_hidden))",
        tests=("tests/core/retrieval/test_examples.py::test_nothing_is_both_shown_and_asked",),
    ),
    Fault(
        number=4,
        what="models are fitted on held-out likes",
        where=fit_ratings,
        before='pl.col("timestamp") < pl.col("cut")',
        after='pl.col("timestamp") >= 0',
        tests=(f"{CHAIN}::test_a_hold_out_hides_its_likes_from_its_models",),
    ),
    Fault(
        number=4,
        what="the towers of the test window are fitted on its targets",
        where=_Chain.train,
        before="""
            train_retrieval_model(
                fit_ratings(self.ratings, self.splits, name),
                of_slice(self.items, name),
                self.splits.fit_end(name),
                self.config,
                TrainingCallbacks(after_step=lambda _done, _total: check(), after_epoch=look),
                TrainingExtras(start=start, clicks=self._clicks_of(name), linear=self._linear_of(name, check)),
            )
        """,
        after="""
            train_retrieval_model(
                self.ratings if "test" in name else fit_ratings(self.ratings, self.splits, name),
                of_slice(self.items, name),
                2**40 if "test" in name else self.splits.fit_end(name),
                self.config,
                TrainingCallbacks(after_step=lambda _done, _total: check(), after_epoch=look),
                TrainingExtras(start=start, clicks=self._clicks_of(name), linear=self._linear_of(name, check)),
            )
        """,
        tests=(f"{CHAIN}::test_each_tower_was_fitted_on_exactly_what_its_slice_may_see",),
    ),
    Fault(
        number=4,
        what="a re-rated movie is a target",
        where=_slice,
        before='targets = targets.join(known, on=["user_id", "item_id"], how="anti", maintain_order="left")',
        after="",
        tests=("tests/core/data/test_splits.py::test_ten_known_likes_rated_again_on_the_last_day_are_no_targets",),
    ),
    Fault(
        number=5,
        what="a tower of any slice may score the ranker's rows",
        where=slice_rows,
        before="model.fitted_on != allowed",
        after="not model.fitted_on",
        tests=("tests/core/ranking/test_training_rows.py::test_a_tower_that_saw_the_labels_is_refused_in_every_slice",),
    ),
    Fault(
        number=5,
        what="the serving tower generates candidates for past windows",
        where=examples_of_slices,
        before="generator_of(model_of(name), of_slice(features.items, name))",
        after="generator_of(model_of(splits.names[-1]), of_slice(features.items, splits.names[-1]))",
        tests=(
            "tests/core/ranking/test_training_rows.py::test_each_slice_asks_its_own_tower",
            f"{CHAIN}::test_the_rows_of_a_slice_come_from_its_own_tower",
        ),
    ),
    Fault(
        number=5,
        what="the ranker of a window is trained on labels of that window and of later ones",
        where=_fitted_at,
        before="examples.known_before(moment)",
        after="examples.rows",
        tests=(
            "tests/core/ranking/test_rankers.py::"
            "test_the_labels_of_a_window_change_no_byte_of_its_ranker_or_an_earlier_one",
        ),
    ),
    Fault(
        number=24,
        what="negatives have features of random users",
        where=slice_rows,
        before="""
            labelled = candidate_rows(inputs).join(liked, on=["user_id", "item_id"], how="left", maintain_order="left")
        """,
        after="""
            labelled = candidate_rows(inputs).join(liked, on=["user_id", "item_id"], how="left", maintain_order="left")
            own = [column for column in FEATURE_NAMES if column.startswith("user_")]
            drawn = labelled.select(own).sample(fraction=1.0, shuffle=True, seed=0)
            labelled = labelled.with_columns(
                pl.when(pl.col("label") == 1).then(pl.col(one)).otherwise(drawn[one]).alias(one) for one in own
            )
        """,
        tests=("tests/core/ranking/test_training_rows.py::test_a_user_alone_says_nothing_about_a_label",),
    ),
    Fault(
        number=25,
        what="the baselines are tuned with access to the test's targets",
        where=baselines,
        before='Splits.load(run.folder("splits"))',
        after='Splits.load(run.folder("splits"), with_test_targets=True)',
        tests=("tests/assets/test_assets.py::test_nothing_that_tunes_opens_the_test_targets",),
    ),
    Fault(
        number=25,
        what="loading the slices loads the test's targets",
        where=Splits.load,
        before="with_test_targets",
        after="True",
        tests=("tests/core/data/test_splits.py::test_the_tests_targets_are_read_only_when_asked_for",),
    ),
    Fault(
        number=25,
        what="the test window influences the weight of retrieval's score",
        where=_with_weight_and_calibration,
        before="window != TEST",
        after="True",
        tests=("tests/core/ranking/test_rankers.py::test_the_test_alone_settles_no_weight",),
    ),
    Fault(
        number=30,
        what="an item without ratings at the time is a negative",
        where=full_softmax,
        before="examples.first_rated_at is not None",
        after="examples.first_rated_at is not None and not len(items)",
        tests=(f"{CHAIN}::test_an_item_that_nobody_had_rated_yet_is_no_negative",),
    ),
    Fault(
        number=30,
        what="an item without ratings at the time is drawn as a negative",
        where=sampled_scores,
        before="negatives.is_own | not_yet_rated",
        after="negatives.is_own",
        tests=(f"{CHAIN}::test_an_item_that_nobody_had_rated_yet_is_no_sampled_negative_either",),
    ),
    Fault(
        number=30,
        what="an item without ratings at the time is a candidate",
        where=find_candidates,
        before="np.zeros(n_items, dtype=np.bool_) if first_ratings is None else first_ratings.is_not_yet_rated(row)",
        after="np.zeros(n_items, dtype=np.bool_)",
        tests=(f"{CHAIN}::test_an_item_that_nobody_had_rated_yet_is_no_candidate",),
    ),
    Fault(
        number=3,
        what="an impression in the second of a request counts as earlier",
        where=TimedItemLog.before,
        before="self._place(user_ids, times)",
        after="self._place(user_ids, times + 1)",
        tests=(
            "tests/core/features/test_exposures.py::test_what_was_shown_in_the_second_of_the_request_or_later_is_not_known_yet",
            "tests/core/ranking/test_shown_rows.py::test_what_was_shown_before_a_request_counts_until_it_is_clicked",
        ),
    ),
    Fault(
        number=31,
        what="the towers of the last window serve",
        where=read_bundle,
        before='load_retrieval_model(folders["two_tower"], NOW)',
        after='load_retrieval_model(folders["two_tower"], "test_2")',
        tests=(f"{CHAIN}::test_the_towers_that_serve_have_seen_the_last_rating",),
    ),
    Fault(
        number=31,
        what="the serving ranker is not trained on the test window",
        where=fit_rankers,
        before="examples.last_known_at",
        after="examples.start_of(windows[-1])",
        tests=("tests/core/ranking/test_rankers.py::test_the_ranker_that_serves_learns_from_everything",),
    ),
)
