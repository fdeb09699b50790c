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
        file="recsys_core/features/items.py",
        before='known = ratings.filter(pl.col("timestamp") < as_of)',
        after="known = ratings",
        tests=(
            "tests/core/features/test_items.py::test_it_agrees_with_the_slow_loop",
            "tests/core/features/test_items.py::test_before_the_first_rating_no_item_is_known",
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
        before="user_features(known_ratings(ratings, splits, name), of_slice(items, name))",
        after="user_features(ratings, of_slice(items, name))",
        tests=(
            "tests/core/ranking/test_slices.py::"
            "test_rows_appended_to_the_future_change_no_bit_of_any_feature[validation]",
        ),
    ),
    Fault(
        number=2,
        what="candidates and pair features read the whole life of the user",
        file="recsys_core/ranking/slices.py",
        before="known = known_ratings(ratings, splits, name)",
        after='known = ratings.filter(pl.col("user_id").is_in(splits.users_of(name).tolist()))',
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
            "tests/core/features/test_slices.py::test_neither_a_target_nor_what_shares_its_second_is_counted",
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
        file="recsys_core/features/items.py",
        before='pl.col("timestamp") < as_of',
        after='pl.col("timestamp") <= as_of',
        tests=("tests/core/features/test_items.py::test_an_event_of_the_same_second_is_not_known_yet",),
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
        before="fit_ratings(ratings, splits, name), of_slice(items, name), splits.fit_end(name), config",
        after="ratings if name == 'test' else fit_ratings(ratings, splits, name), of_slice(items, name), "
        "2**40 if name == 'test' else splits.fit_end(name), config",
        tests=(
            "tests/core/evaluation/test_end_to_end.py::test_where_taste_was_permuted_away_nothing_beats_popularity",
        ),
    ),
    Fault(
        number=5,
        what="any tower may score the ranker's rows",
        file="recsys_core/ranking/examples.py",
        before="if inputs.tower.fitted_on != allowed:",
        after="if not inputs.tower.fitted_on:",
        tests=("tests/core/ranking/test_examples.py::test_a_tower_that_saw_the_labels_is_refused",),
    ),
    Fault(
        number=5,
        what="one tower, fitted on everything before the exam, serves its hold-outs too",
        file="recsys_core/retrieval/slices.py",
        before="fit_ratings(ratings, splits, name), of_slice",
        after='fit_ratings(ratings, splits, name.partition("_")[0]), of_slice',
        tests=("tests/core/ranking/test_slices.py::test_a_tower_of_another_slice_is_refused",),
    ),
    Fault(
        number=5,
        what="the ranker that is judged has learned from the exam",
        file="recsys_core/ranking/rehearsal.py",
        before="return fit_ranker(examples.lessons(VALIDATION), config)",
        after="return fit_ranker(examples.rows, config)",
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
