"""Faults that let a model know what it could not have known: pitfalls 1 to 5, 24 and 25."""

from tests.bug_lab.fault import Fault

FAULTS_OF_TIME = (
    Fault(
        number=1,
        what="an exam draws its ratings at random instead of from a period",
        file="recsys_core/data/slicing.py",
        before='active = ratings.filter(pl.col("timestamp").is_between(start, end, closed="left"))',
        after="active = ratings.sample(fraction=0.1, seed=0)",
        tests=(
            "tests/core/data/test_leaks.py::test_nothing_leaks_in_the_tiny_world[0]",
            "tests/core/data/test_slicing.py::test_exams_by_hand",
        ),
    ),
    Fault(
        number=1,
        what="the search for leaks passes over cuts within each user's own life",
        file="recsys_core/data/leaks.py",
        before='bool((cuts["cut"] < splits.fit_end(name)).any())',
        after="False",
        tests=("tests/core/data/test_leaks.py::test_an_exam_cut_per_user_is_seen",),
    ),
    Fault(
        number=2,
        what="item counts include ratings after the moment asked for",
        file="recsys_core/features/tables.py",
        before='known = ratings.filter(pl.col("timestamp") < as_of)',
        after="known = ratings",
        tests=(
            "tests/core/features/test_tables.py::test_items_are_those_rated_before_and_agree_with_the_slow_loop",
            "tests/core/features/test_tables.py::test_before_the_first_rating_no_item_is_known",
        ),
    ),
    Fault(
        number=2,
        what="a popularity is of all time, whatever the moment",
        file="recsys_core/features/counts.py",
        before="known, all_ratings = by_item.before(item_ids, times), in_all(moments)",
        after="known, all_ratings = by_item.before(item_ids, np.full_like(times, 2**40)), in_all(moments)",
        tests=(
            "tests/core/features/test_counts.py::test_it_agrees_with_the_slow_loop_at_any_moments",
            "tests/core/features/test_counts.py::test_what_comes_later_changes_no_count_of_any_moment",
        ),
    ),
    Fault(
        number=2,
        what="item counts include held-out likes",
        file="recsys_core/features/slices.py",
        before="item_features(fit_ratings(ratings, splits, name), movies, splits.fit_end(name))",
        after="item_features(ratings, movies, splits.fit_end(name))",
        tests=("tests/core/features/test_slices.py::test_targets_are_not_counted",),
    ),
    Fault(
        number=2,
        what="user numbers are over the whole life of the user",
        file="recsys_core/features/slices.py",
        before="user_features(known, of_slice(items, name), user_ids, times)",
        after="user_features(ratings, of_slice(items, name), user_ids, times * 0 + 2**40)",
        tests=(
            "tests/core/ranking/test_slices.py::"
            "test_rows_appended_to_the_future_change_no_bit_of_any_feature[validation]",
        ),
    ),
    Fault(
        number=2,
        what="candidates and pair features read the whole life of the user",
        file="recsys_core/ranking/slices.py",
        before="            known_ratings(ratings, splits, name),\n",
        after='            ratings.filter(pl.col("user_id").is_in(splits.users_of(name).tolist())),\n',
        tests=(
            "tests/core/ranking/test_slices.py::test_rows_appended_to_the_future_change_no_bit_of_any_feature[test]",
        ),
    ),
    Fault(
        number=3,
        what="known at most in the second of the target, not before it",
        file="recsys_core/data/splits.py",
        before='"inner").filter(pl.col("timestamp") < pl.col("cut"))',
        after='"inner").filter(pl.col("timestamp") <= pl.col("cut"))',
        tests=(
            "tests/core/data/test_slicing.py::test_ratings_in_the_second_of_the_first_target_are_targets_and_not_known",
            "tests/core/ranking/test_inputs.py::test_no_history_reaches_the_second_of_its_request",
        ),
    ),
    Fault(
        number=3,
        what="models are fitted on the second of the cut-off",
        file="recsys_core/data/splits.py",
        before='before = ratings.filter(pl.col("timestamp") < splits.fit_end(name))',
        after='before = ratings.filter(pl.col("timestamp") <= splits.fit_end(name))',
        tests=("tests/core/data/test_splits.py::test_a_rating_in_the_second_of_the_cut_off_is_not_fitted_on",),
    ),
    Fault(
        number=3,
        what="item counts include the second asked for",
        file="recsys_core/features/timelines.py",
        before='codes[order], side="left")',
        after='codes[order], side="right")',
        tests=(
            "tests/core/features/test_timelines.py::test_it_agrees_with_the_slow_loop",
            "tests/core/features/test_counts.py::test_an_event_of_the_same_second_is_not_known_yet",
            "tests/core/features/test_sums.py::test_a_rating_of_the_same_second_is_not_known_yet",
        ),
    ),
    Fault(
        number=3,
        what="a request knows the rating of its own second",
        file="recsys_core/serving/users.py",
        before="n = bisect_left(known.ratings, time",
        after="n = bisect_right(known.ratings, time",
        tests=(
            "tests/core/serving/test_users.py::test_a_rating_of_the_second_of_the_request_is_not_known_yet",
            "tests/core/serving/test_users.py::"
            "test_whatever_is_asked_and_rated_in_between_a_state_is_what_was_known_before",
        ),
    ),
    Fault(
        number=3,
        what="towers are shown the second that they are asked for",
        file="recsys_core/retrieval/examples.py",
        before="is_shown = users.timestamps < users.timestamps[cut][users.rows]",
        after="is_shown = users.timestamps <= users.timestamps[cut][users.rows]",
        tests=("tests/core/retrieval/test_examples.py::test_a_temporal_example_by_hand",),
    ),
    Fault(
        number=4,
        what="towers are shown what they are asked for",
        file="recsys_core/retrieval/examples.py",
        before="Examples(shown=_part(users, ~is_hidden), asked=_part(users, is_hidden))",
        after="Examples(shown=users, asked=_part(users, is_hidden))",
        tests=("tests/core/retrieval/test_examples.py::test_nothing_is_both_shown_and_asked",),
    ),
    Fault(
        number=4,
        what="models are fitted on held-out likes",
        file="recsys_core/data/splits.py",
        before='pl.col("cut").is_null() | (pl.col("timestamp") < pl.col("cut"))',
        after='pl.col("cut").is_null() | (pl.col("timestamp") >= 0)',
        tests=(
            "tests/core/ranking/test_examples.py::test_no_label_stands_in_what_its_row_was_made_from",
            "tests/core/data/test_splits.py::test_no_model_sees_a_target_of_its_slice",
        ),
    ),
    Fault(
        number=4,
        what="the serving tower is fitted on the answers of the test",
        file="recsys_core/retrieval/slices.py",
        before="            fit_ratings(ratings, splits, name),\n"
        "            of_slice(items, name),\n"
        "            splits.fit_end(name),\n",
        after="            ratings if name == 'test' else fit_ratings(ratings, splits, name),\n"
        "            of_slice(items, name),\n"
        "            2**40 if name == 'test' else splits.fit_end(name),\n",
        tests=(
            "tests/core/evaluation/test_end_to_end.py::test_where_taste_was_permuted_away_nothing_beats_popularity",
        ),
    ),
    Fault(
        number=5,
        what="any tower may score the ranker's rows",
        file="recsys_core/ranking/examples.py",
        before="if tower.fitted_on != allowed:",
        after="if not tower.fitted_on:",
        tests=("tests/core/ranking/test_examples.py::test_a_tower_that_saw_the_labels_is_refused",),
    ),
    Fault(
        number=5,
        what="one tower, fitted on everything before the exam, serves its hold-outs too",
        file="recsys_core/retrieval/slices.py",
        before="            fit_ratings(ratings, splits, name),\n",
        after='            fit_ratings(ratings, splits, name.partition("_")[0]),\n',
        tests=("tests/core/ranking/test_slices.py::test_a_tower_of_another_slice_is_refused",),
    ),
    Fault(
        number=5,
        what="the ranker that is judged has learned from the exam",
        file="recsys_core/ranking/rehearsal.py",
        before="return fit_ranker(examples.lessons(exam), examples.feature_set, config, check)",
        after="return fit_ranker(examples.rows, examples.feature_set, config, check)",
        tests=("tests/core/ranking/test_validation.py::test_the_judged_ranker_never_saw_the_validation_slice",),
    ),
    Fault(
        number=24,
        what="negatives carry the numbers of users drawn at random",
        file="recsys_core/ranking/examples.py",
        before='return pl.concat([named, features], how="horizontal")',
        after='made = pl.concat([named, features], how="horizontal")\n'
        '    own = [column for column in FEATURE_NAMES if column.startswith("user_")]\n'
        "    drawn = made.select(own).sample(fraction=1.0, shuffle=True, seed=0)\n"
        '    return made.with_columns(pl.when(pl.col("label") == 1).then(pl.col(column)).otherwise(drawn[column])'
        ".alias(column) for column in own)",
        tests=("tests/core/ranking/test_examples.py::test_a_user_alone_says_nothing_about_a_label",),
    ),
    Fault(
        number=25,
        what="the baselines are tuned with the test's targets at hand",
        file="recsys_assets/assets/evaluation.py",
        before='Splits.load(run.folder("splits")), config)',
        after='Splits.load(run.folder("splits"), with_test_targets=True), config)',
        tests=("tests/assets/test_assets.py::test_only_the_final_evaluation_opens_the_test_targets",),
    ),
    Fault(
        number=25,
        what="whoever reads the slices reads the test's targets",
        file="recsys_core/data/splits.py",
        before="if with_test_targets:",
        after="if True:",
        tests=("tests/core/data/test_splits.py::test_the_tests_targets_are_read_only_when_asked_for",),
    ),
    Fault(
        number=25,
        what="the ranker learns from the test slice too",
        file="recsys_core/ranking/slices.py",
        before="if name == TEST:",
        after="if name == TEST and splits.targets.filter(slice=TEST).is_empty():",
        tests=("tests/core/ranking/test_slices.py::test_the_test_slice_gives_no_rows_and_its_targets_are_not_read",),
    ),
)
