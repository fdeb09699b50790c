"""The ranker: it learns what is there, explains its scores, and refuses what it was not trained for."""

import json
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from recsys_core.errors import ArtifactError, DataError
from recsys_core.features.registry import FEATURE_NAMES, FeatureSet, feature_set, feature_set_version
from recsys_core.ranking import ranker as ranker_module
from recsys_core.ranking.config import NO_RULES, ListRulesConfig, RankerConfig
from recsys_core.ranking.ranker import RETRIEVAL_Z, Ranker, fit_ranker, group_weights
from recsys_core.ranking.schemas import SHOWN
from tests.core.worlds import QUICK_RANKER, TinyRun

PLANTED = "pair_genre_affinity"
FILES = ("calibration.json", "features.json", "ranker.json")
SETTLED = 1_000_000
"""The second in which all planted labels are settled."""


def planted_rows(seed: int, n_users: int = 60, n_rows: int = 15, *, slices: tuple[str, ...] = ("a",)) -> pl.DataFrame:
    """Noise in all features but one: the three highest of it in each group were liked."""
    rng = np.random.default_rng(seed)
    n = len(slices) * n_users * n_rows
    columns = {name: rng.random(n, dtype=np.float32) for name in FEATURE_NAMES}
    signal = columns[PLANTED].reshape(-1, n_rows)
    columns["pair_retrieval_rank"] = np.tile(np.arange(1, n_rows + 1, dtype=np.float32), len(slices) * n_users)
    liked = signal >= np.sort(signal, axis=1)[:, [-3]]
    return pl.DataFrame(
        {
            "slice": np.repeat(slices, n_users * n_rows),
            "user_id": np.tile(np.repeat(np.arange(n_users), n_rows), len(slices)),
            "item_id": np.arange(n),
            "label": liked.ravel().astype(np.int8),
            "known_at": np.full(n, SETTLED),
            **columns,
        }
    )


def features_of(rows: pl.DataFrame) -> npt.NDArray[np.float32]:
    return rows.select(FEATURE_NAMES).to_numpy()


def share_of_likes_on_top(ranker: Ranker, rows: pl.DataFrame) -> float:
    """Mean share of likes among the first three of each group."""
    scored = rows.with_columns(score=ranker.score(features_of(rows)))
    return float(scored.sort("score", descending=True).group_by("slice", "user_id").head(3)["label"].mean())


def test_it_learns_a_planted_signal_and_says_so() -> None:
    ranker = fit_ranker(planted_rows(0), feature_set(), QUICK_RANKER, SETTLED)
    assert share_of_likes_on_top(ranker, planted_rows(1)) > 0.8  # chance: 0.2
    importance = ranker.importance()
    assert importance["feature"][0] == PLANTED
    assert importance["gain"][0] > 5 * importance["gain"][1]


def test_permuted_labels_teach_nothing() -> None:
    rows = planted_rows(0)
    permuted = rows.with_columns(label=pl.Series(np.random.default_rng(1).permutation(rows["label"].to_numpy())))
    assert share_of_likes_on_top(fit_ranker(permuted, feature_set(), QUICK_RANKER, SETTLED), planted_rows(1)) < 0.4


@pytest.mark.parametrize(("least_weight", "most_used"), [(1, 1), (1e9, 0)], ids=["one split", "no split"])
def test_importance_names_every_feature_once_unused_ones_with_zero(least_weight: float, most_used: int) -> None:
    config = RankerConfig(n_rounds=1, max_depth=1, min_child_weight=least_weight)
    importance = fit_ranker(planted_rows(0), feature_set(), config, SETTLED).importance()
    assert sorted(importance["feature"]) == sorted(FEATURE_NAMES)
    assert (importance["gain"] > 0).sum() == most_used
    assert importance["gain"].is_sorted(descending=True)
    assert not importance["gain"].has_nulls()


def test_contributions_sum_to_the_score(tiny: TinyRun) -> None:
    features = features_of(tiny.examples.rows)
    contributions = tiny.ranker.contributions(features)
    assert contributions.shape == (len(features), len(FEATURE_NAMES) + 1)
    np.testing.assert_allclose(contributions.sum(axis=1), tiny.ranker.score(features), atol=1e-3)
    assert len(np.unique(contributions[:, -1])) == 1  # the base is the same for all
    assert tiny.ranker.contributions(features[:0]).shape == (0, len(FEATURE_NAMES) + 1)


@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0])
def test_the_score_is_the_boosters_and_a_weight_times_retrievals(tiny: TinyRun, weight: float) -> None:
    features = features_of(tiny.examples.rows)
    ranker = replace(tiny.ranker, retrieval_weight=weight)
    z = tiny.examples.rows["pair_retrieval_z"].to_numpy()
    trees = tiny.ranker.booster.inplace_predict(features)
    np.testing.assert_allclose(ranker.score(features), trees + weight * z, atol=1e-6)
    contributions = ranker.contributions(features)
    np.testing.assert_allclose(contributions.sum(axis=1), ranker.score(features), atol=1e-3)
    moved = contributions - replace(tiny.ranker, retrieval_weight=0.0).contributions(features)
    np.testing.assert_allclose(moved[:, RETRIEVAL_Z], weight * z, atol=1e-5)
    assert (np.delete(moved, RETRIEVAL_Z, axis=1) == 0).all()


def test_an_item_without_a_retrieval_score_gets_the_boosters_score_alone(tiny: TinyRun) -> None:
    features = features_of(tiny.examples.rows.head(5)).copy()
    features[:, RETRIEVAL_Z] = np.nan
    ranker = replace(tiny.ranker, retrieval_weight=0.5)
    assert np.array_equal(ranker.score(features), replace(ranker, retrieval_weight=0.0).score(features))
    assert np.isfinite(ranker.contributions(features)).all()


def groups(*rows: tuple[str, int, int]) -> pl.DataFrame:
    """Groups of two rows each: slice, user_id, known_at."""
    table = pl.DataFrame(rows, schema={"slice": pl.String, "user_id": pl.Int64, "known_at": pl.Int64}, orient="row")
    return table.select(pl.all().repeat_by(2).explode(empty_as_null=True, keep_nulls=True))


def weights_of(rows: pl.DataFrame, moment: int = 0, **settings: float) -> list[float]:
    return group_weights(rows, RankerConfig.model_validate(settings), moment)["weight"].to_list()


def test_the_requests_that_one_user_was_shown_share_one_weight() -> None:
    """However many there are; a user's questions of windows count in full."""
    rows = groups(
        (f"{SHOWN}a", 7, 0), (f"{SHOWN}b", 7, 0), (f"{SHOWN}c", 7, 0), (f"{SHOWN}d", 8, 0), ("w_1", 7, 0), ("w_2", 7, 0)
    )  # fmt: skip
    assert weights_of(rows, shown_weight=0.6) == pytest.approx([0.2, 0.2, 0.2, 0.6, 1.0, 1.0])
    assert weights_of(rows, shown_weight=0) == [0, 0, 0, 0, 1, 1]


def test_a_group_weighs_half_after_its_half_life() -> None:
    day = 86_400
    rows = groups(("w_1", 1, 0), ("w_2", 1, 10 * day), (f"{SHOWN}a", 1, 0), ("w_3", 1, 30 * day))
    found = weights_of(rows, 20 * day, half_life_days=10, shown_weight=1)
    assert found == pytest.approx([0.25, 0.5, 0.25, 1.0]), "what is settled later than the moment is not above 1"


def test_weights_stand_in_the_order_of_the_groups() -> None:
    table = group_weights(groups(("w_2", 1, 5), ("w_1", 9, 5), ("w_1", 2, 5)), RankerConfig(), 5)
    assert table.rows() == [("w_2", 1, 1.0), ("w_1", 9, 1.0), ("w_1", 2, 1.0)]


def test_a_group_without_weight_teaches_nothing() -> None:
    """Turned lessons of requests that were shown weigh 0, and so the ranker does not turn."""
    rows, turned = planted_rows(0), planted_rows(0, slices=(f"{SHOWN}a",)).with_columns(label=1 - pl.col("label"))
    both, config = pl.concat([turned, rows]), QUICK_RANKER.model_copy(update={"shown_weight": 0.0})
    assert share_of_likes_on_top(fit_ranker(both, feature_set(), config, SETTLED), planted_rows(1)) > 0.8
    heavy = config.model_copy(update={"shown_weight": 10.0})
    assert share_of_likes_on_top(fit_ranker(both, feature_set(), heavy, SETTLED), planted_rows(1)) < 0.2


def test_a_missing_value_is_no_number() -> None:
    """NaN takes a branch of its own: it scores, and not as 0 would."""
    rows = planted_rows(0)
    mostly_missing = rows.with_columns(
        pl.when(pl.col("label") == 0).then(pl.col(PLANTED)).otherwise(float("nan")).alias(PLANTED)
    )
    ranker = fit_ranker(mostly_missing, feature_set(), QUICK_RANKER, SETTLED)
    features = features_of(rows)[:50].copy()
    scores = []
    for value in (np.nan, 0.0):
        features[:, FEATURE_NAMES.index(PLANTED)] = value
        scores.append(ranker.score(features))
    assert np.isfinite(scores[0]).all()
    assert (scores[0] > scores[1]).all()


def test_groups_end_with_their_slice_where_user_ids_repeat() -> None:
    """The last user of one slice may be the first of the next."""
    one = planted_rows(0, n_users=1, slices=("a", "b"))
    other = one.with_columns(user_id=pl.when(pl.col("slice") == "b").then(7).otherwise(pl.col("user_id")))
    matrix, expected = (
        ranker_module._matrix(rows, group_weights(rows, QUICK_RANKER, SETTLED), 1) for rows in (one, other)
    )
    assert matrix.get_uint_info("group_ptr").tolist() == expected.get_uint_info("group_ptr").tolist() == [0, 15, 30]


def test_a_slice_boundary_teaches_no_pairs() -> None:
    """In one slice user 0 likes nothing, in the next everything: within the groups there is no order to learn."""
    rows = planted_rows(0, n_users=1, slices=("a", "b"))
    rows = rows.with_columns(
        label=(pl.col("slice") == "b").cast(pl.Int8), **{PLANTED: (pl.col("slice") == "b").cast(pl.Float32)}
    )
    ranker = fit_ranker(
        rows, feature_set(), RankerConfig(n_rounds=5, min_child_weight=0, row_share=1, column_share=1), SETTLED
    )
    assert len(np.unique(ranker.score(features_of(rows)))) == 1


def test_without_any_like_there_is_nothing_to_learn() -> None:
    rows = planted_rows(0).with_columns(label=pl.lit(0, pl.Int8))
    with pytest.raises(DataError, match="use more data or more candidates"):
        fit_ranker(rows, feature_set(), QUICK_RANKER, SETTLED)
    with pytest.raises(DataError, match="no candidate"):
        fit_ranker(rows.clear(), feature_set(), QUICK_RANKER, SETTLED)


def test_it_remembers_how_many_candidates_it_learnt_to_order() -> None:
    assert fit_ranker(planted_rows(0, n_rows=15), feature_set(), QUICK_RANKER, SETTLED).n_candidates == 15


def test_a_check_that_raises_ends_the_training_before_the_next_tree() -> None:
    calls: list[int] = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_ranker(planted_rows(0), feature_set(), QUICK_RANKER, SETTLED, check)
    assert len(calls) == 3


def test_two_fits_give_the_same_bytes_and_another_seed_others(tiny: TinyRun, tmp_path: Path) -> None:
    contents = []
    for name, seed in (("one", 17), ("two", 17), ("three", 18)):
        (tmp_path / name).mkdir()
        config = QUICK_RANKER.model_copy(update={"seed": seed})
        fit_ranker(tiny.examples.rows, feature_set(), config, SETTLED).save(tmp_path / name)
        contents.append([(tmp_path / name / file).read_bytes() for file in FILES])
    assert contents[0] == contents[1]
    assert contents[0][2] != contents[2][2]


def test_it_comes_back_as_it_was(tiny: TinyRun, tmp_path: Path) -> None:
    tiny.ranker.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)
    back = Ranker.load(tmp_path)
    features = features_of(tiny.examples.rows)
    assert np.array_equal(back.score(features), tiny.ranker.score(features))
    assert np.array_equal(back.contributions(features), tiny.ranker.contributions(features))
    assert back.importance().equals(tiny.ranker.importance())
    assert back.calibration == tiny.ranker.calibration is not None
    assert back.retrieval_weight == tiny.ranker.retrieval_weight
    assert (back.feature_set, back.n_candidates) == (tiny.ranker.feature_set, tiny.ranker.n_candidates)


def test_a_probability_rises_with_the_score_and_orders_alike(tiny: TinyRun) -> None:
    scores = tiny.ranker.score(features_of(tiny.examples.rows))
    probability = tiny.ranker.probability(scores)
    assert probability is not None
    assert probability.shape == scores.shape
    assert ((probability > 0) & (probability < 1)).all()
    order = np.argsort(scores, kind="stable")
    assert (np.diff(probability[order])[np.diff(scores[order]) > 0] > 0).all()


def test_a_ranker_without_calibration_names_no_probability(tmp_path: Path) -> None:
    ranker = fit_ranker(planted_rows(0), feature_set(), QUICK_RANKER, SETTLED)
    ranker.save(tmp_path)
    for one in (ranker, Ranker.load(tmp_path)):
        assert one.probability(np.zeros(3, dtype=np.float32)) is None


FIRST, LAST = FEATURE_NAMES[0], FEATURE_NAMES[-1]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda theirs: theirs.pop(LAST), f"{LAST} is new"),
        (lambda theirs: theirs.update(user_height=theirs[LAST]), "user_height is gone"),
        (lambda theirs: theirs[FIRST].update(high=100.0), f"{FIRST}: high was 100.0 and is 1.0"),
        (lambda theirs: theirs[FIRST].update(code="0" * 16), f"the code of {FIRST} changed"),
        (lambda theirs: theirs.update({FIRST: theirs.pop(FIRST)}), "the order of the features changed"),
    ],
    ids=["new", "gone", "range", "code", "order"],
)
def test_another_set_of_features_is_refused_and_what_differs_is_named(
    tiny: TinyRun, tmp_path: Path, change: Callable[[FeatureSet], object], sentence: str
) -> None:
    theirs = deepcopy(feature_set())
    change(theirs)
    replace(tiny.ranker, feature_set=theirs).save(tmp_path)
    with pytest.raises(ArtifactError) as refusal:
        Ranker.load(tmp_path)
    assert f"({sentence}): run `recsys refresh`" in str(refusal.value)
    assert feature_set_version(theirs) in str(refusal.value)
    assert feature_set_version() in str(refusal.value)


def test_a_ranker_carries_the_feature_set_of_the_rows_that_it_learnt_from(tiny: TinyRun, tmp_path: Path) -> None:
    """Rows from before a feature changed make a ranker of before, whichever code fits it."""
    older = deepcopy(feature_set())
    older[PLANTED]["code"] = "of before"
    fit_ranker(planted_rows(0), older, QUICK_RANKER, SETTLED).save(tmp_path)
    with pytest.raises(ArtifactError, match=f"the code of {PLANTED} changed"):
        Ranker.load(tmp_path)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", ["missing", "empty", "half", "other"])
def test_a_damaged_ranker_is_refused(tiny: TinyRun, tmp_path: Path, file: str, damage: str) -> None:
    tiny.ranker.save(tmp_path)
    path = tmp_path / file
    good = path.read_bytes()
    path.write_bytes({"half": good[: len(good) // 2], "other": b'{"json": true}'}.get(damage, b""))
    if damage == "missing":
        path.unlink()
    with pytest.raises(ArtifactError, match="missing or damaged: run `recsys refresh`"):
        Ranker.load(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "null",
        "7",
        '{"feature_set": "x", "n_candidates": 3}',
        '{"feature_set": {}}',
        '{"feature_set": {}, "n_candidates": 3}',
        '{"n_candidates": 3}',
        f'{{"feature_set": {{"{FIRST}": 7}}, "n_candidates": 3}}',
    ],
)
def test_features_json_of_another_form_is_damage(tiny: TinyRun, tmp_path: Path, content: str) -> None:
    tiny.ranker.save(tmp_path)
    (tmp_path / "features.json").write_text(content)
    with pytest.raises(ArtifactError, match="damaged"):
        Ranker.load(tmp_path)


def test_the_saved_features_are_readable_text(tiny: TinyRun, tmp_path: Path) -> None:
    tiny.ranker.save(tmp_path)
    stored = json.loads((tmp_path / "features.json").read_text())
    assert list(stored["feature_set"]) == list(FEATURE_NAMES)
    assert stored["feature_set"][FIRST]["unit"] == "share"
    assert stored["n_candidates"] == tiny.ranker.n_candidates


def test_list_rules_are_kept_with_the_ranker_and_an_older_file_has_none(tiny: TinyRun, tmp_path: Path) -> None:
    rules = ListRulesConfig(rewatch_after_days=365, most_per_franchise=2, diversity=0.3)
    replace(tiny.ranker, list_rules=rules).save(tmp_path)
    back = Ranker.load(tmp_path)
    assert back.list_rules == rules
    assert np.array_equal(
        back.score(features_of(tiny.examples.rows)), tiny.ranker.score(features_of(tiny.examples.rows))
    )
    about = json.loads((tmp_path / "features.json").read_text())
    (tmp_path / "features.json").write_text(json.dumps({k: v for k, v in about.items() if k != "list_rules"}))
    assert Ranker.load(tmp_path).list_rules == NO_RULES


@pytest.mark.parametrize("rules", [{"diversity": 7}, {"shuffle": True}, [1], None])
def test_list_rules_that_nobody_knows_are_refused(tiny: TinyRun, tmp_path: Path, rules: object) -> None:
    tiny.ranker.save(tmp_path)
    about = json.loads((tmp_path / "features.json").read_text())
    (tmp_path / "features.json").write_text(json.dumps(about | {"list_rules": rules}))
    with pytest.raises(ArtifactError, match="damaged"):
        Ranker.load(tmp_path)


def test_the_order_of_the_columns_changes_no_score() -> None:
    rows, others = planted_rows(0), planted_rows(1)
    moved, kept = (
        fit_ranker(table, feature_set(), QUICK_RANKER, SETTLED) for table in (rows.select(reversed(rows.columns)), rows)
    )
    assert np.array_equal(moved.score(features_of(others)), kept.score(features_of(others)))


def test_a_column_that_is_lacking_is_named_before_anything_is_learnt() -> None:
    with pytest.raises(pl.exceptions.ColumnNotFoundError, match=PLANTED):
        fit_ranker(planted_rows(0).drop(PLANTED), feature_set(), QUICK_RANKER, SETTLED)


def test_a_ranker_is_loaded_without_torch() -> None:
    code = "import sys; from recsys_core.ranking import ranker; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
