"""The comparison with peers is fair: one budget for all, the test's targets read last, no row missing."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks.peers.__main__ import main
from benchmarks.peers.als import AlsConfig, fit_als
from benchmarks.peers.contenders import BUILT_IN, FROM_LIBRARIES, N_TRIALS, PEERS, Peer, settings_to_try
from benchmarks.peers.scoring import leads, score, table
from benchmarks.peers.splits import PROTOCOLS, Protocol, last, lists_of, split, table_of
from benchmarks.peers.tuning import METRICS, Tuned, tune
from benchmarks.peers.vae import VaeConfig, fit_vae
from recsys_core.data.histories import Histories, catalogue_of, histories_of
from recsys_core.data.movielens.reading import Dataset
from recsys_core.data.schemas import LIKED, RATINGS_COLUMNS
from recsys_core.errors import DataError
from recsys_core.evaluation.baselines.scorer import Scorer
from recsys_core.evaluation.config import EvaluationConfig
from tests import tiny_world

CONFIG = EvaluationConfig(n_draws=200)


def needs(library: str) -> pytest.MarkDecorator:
    missing = importlib.util.find_spec(library) is None
    return pytest.mark.skipif(missing, reason=f"{library} is not installed: run `make peers` to test what uses it")


def world(folder: Path, protocol: Protocol) -> Path:
    ratings, movies = tiny_world.ratings(), tiny_world.movies()
    nothing = pl.DataFrame()
    split(Dataset(ratings=ratings, movies=movies, rejected=nothing, counts={}, notes=[]), protocol, folder)
    return folder


@pytest.fixture(scope="module", params=PROTOCOLS)
def row(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def row_last(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world(tmp_path_factory.mktemp("row"), "last")


@pytest.fixture(scope="module")
def tuned(row_last: Path) -> Tuned:
    return tune(row_last, n_trials=2, seed=17, peers=BUILT_IN)


@pytest.mark.parametrize("part", ["", "tune"])
def test_a_context_lies_strictly_before_the_targets_and_is_fitted_on_or_folded_in(row: Path, part: str) -> None:
    fit, context, test = (table_of(row / part / f"{name}.parquet") for name in ("fit", "context", "test"))
    first = test.group_by("user_id").agg(first=pl.col("timestamp").min())
    assert set(context["user_id"]) == set(test["user_id"])
    assert context.join(first, on="user_id").filter(pl.col("timestamp") >= pl.col("first")).is_empty()
    own = fit.join(first, on="user_id")
    assert own.filter(pl.col("timestamp") >= pl.col("first")).is_empty()
    assert test["rating"].min() >= LIKED  # type: ignore[operator]  # a table of ratings has a least one
    assert own.drop("first").join(context, on=["user_id", "item_id"], how="anti").is_empty()


def test_tuning_never_sees_a_target_of_the_test(row: Path) -> None:
    test = table_of(row / "test.parquet")
    for name in ("fit", "context", "test"):
        seen = table_of(row / "tune" / f"{name}.parquet")
        assert seen.join(test, on=["user_id", "item_id"], how="semi").is_empty(), name


def test_the_latest_fifth_of_the_likes_is_held_out_and_the_tenth_before_tunes() -> None:
    ratings = by_hand([(1, item, 5.0, 100 + item) for item in range(10)])
    test, tuning_part = last(ratings)
    assert test["test"]["item_id"].to_list() == [8, 9]
    assert test["fit"]["item_id"].to_list() == list(range(8))
    assert tuning_part["test"]["item_id"].to_list() == [7]
    assert tuning_part["fit"]["item_id"].to_list() == list(range(7))


def test_likes_of_one_second_stay_together_whatever_their_ids() -> None:
    """Items 2 to 4 share a second; the latest like of five is due, and takes the other two with it."""
    seconds = [100, 101, 102, 102, 102]
    for ids in ([0, 1, 2, 3, 4], [4, 3, 2, 1, 0]):
        test, _ = last(by_hand([(1, item, 5.0, at) for item, at in zip(ids, seconds, strict=True)]))
        assert sorted(test["test"]["item_id"].to_list()) == sorted(ids[2:])
        assert sorted(test["context"]["item_id"].to_list()) == sorted(ids[:2])


def test_users_with_few_likes_or_without_a_context_are_not_judged() -> None:
    few = [(1, item, 5.0, 100 + item) for item in range(4)]
    at_once = [(2, item, 5.0, 100) for item in range(10)]
    test, tuning_part = last(by_hand(few + at_once))
    assert test["test"].is_empty()
    assert tuning_part["test"].is_empty()
    assert set(test["fit"]["user_id"]) == {1}


@pytest.mark.parametrize("n_trials", [1, 5, N_TRIALS])
def test_every_peer_gets_the_same_number_of_different_settings(n_trials: int) -> None:
    for peer in PEERS:
        tried = settings_to_try(peer, n_trials, seed=17)
        assert len({tuple(sorted(setting.items())) for setting in tried}) == len(tried) == n_trials
        assert tried == settings_to_try(peer, n_trials, seed=17)


def test_a_drawn_setting_tries_each_value_about_equally_often() -> None:
    for peer in FROM_LIBRARIES:
        tried = settings_to_try(peer, N_TRIALS, seed=17)
        for name, values in peer.space.items():
            counts = [sum(setting[name] == value for setting in tried) for value in values]
            assert max(counts) - min(counts) <= 2, (peer.name, name)


def test_more_trials_than_settings_are_refused() -> None:
    with pytest.raises(DataError, match="same number"):
        settings_to_try(BUILT_IN[0], N_TRIALS + 1, seed=17)


def test_settings_are_checked_by_the_forms_of_their_models() -> None:
    for setting in settings_to_try(FROM_LIBRARIES[0], N_TRIALS, seed=17):
        AlsConfig.model_validate(setting)
    for setting in settings_to_try(FROM_LIBRARIES[1], N_TRIALS, seed=17):
        VaeConfig.model_validate(setting)


def test_tuning_opens_nothing_but_the_folder_for_tuning(tuned: Tuned, tmp_path: Path) -> None:
    row = world(tmp_path, "last")
    for path in row.glob("*.parquet"):
        path.unlink()
    assert tune(row, n_trials=2, seed=17, peers=BUILT_IN) == tuned


def test_scoring_makes_every_list_before_it_reads_the_targets(tuned: Tuned, tmp_path: Path) -> None:
    """Without targets, a fit that is reached raises its own error; that of the missing file comes last."""
    row = world(tmp_path, "last")
    (row / "test.parquet").unlink()
    fitted: list[str] = []
    with pytest.raises(DataError, match=r"test\.parquet does not exist"):
        score(row, tuned, {}, peers=[watched(peer, fitted) for peer in BUILT_IN])
    assert fitted == [peer.name for peer in BUILT_IN]


def test_the_table_has_every_peer_and_ours_best_first(row_last: Path, tuned: Tuned, tmp_path: Path) -> None:
    targets = table_of(row_last / "test.parquet")
    ranks = pl.int_range(1, pl.len() + 1).over("user_id")
    targets.with_columns(rank=ranks, score=0.5).write_parquet(tmp_path / "all_known.parquet")
    scored = score(row_last, tuned, {"oracle": tmp_path / "all_known.parquet"}, peers=BUILT_IN)
    rows = table(scored, CONFIG).splitlines()[2:]
    assert rows[0].startswith("| oracle | 1.000 [1.000, 1.000] | 1.000 [1.000, 1.000] |")
    assert {line.split(" | ")[0].strip("| ") for line in rows} == {"oracle", *(peer.name for peer in BUILT_IN)}
    assert len(leads(scored, CONFIG).splitlines()) == 2 + len(BUILT_IN)


def test_a_user_whom_ours_does_not_list_counts_as_nothing_and_is_told(
    row_last: Path, tuned: Tuned, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    targets = table_of(row_last / "test.parquet")
    users = targets["user_id"].unique().sort()
    some = targets.filter(pl.col("user_id").is_in(users[: len(users) // 2].to_list()))
    some.with_columns(rank=pl.int_range(1, pl.len() + 1).over("user_id")).write_parquet(tmp_path / "some.parquet")
    scored = score(row_last, tuned, {"half": tmp_path / "some.parquet"}, peers=BUILT_IN)
    mean = scored.per_user.filter(model="half")["ndcg@10"].to_numpy().mean()
    assert mean == pytest.approx((len(users) // 2) / len(users))
    assert f"no list for {len(users) - len(users) // 2} of {len(users)} users" in caplog.text
    assert "too few for recall@100" in caplog.text


def test_a_model_that_knows_the_user_beats_popularity(row_last: Path, tuned: Tuned) -> None:
    scored = score(row_last, tuned, {}, peers=BUILT_IN)
    by_model = dict(scored.per_user.group_by("model").agg(pl.col("ndcg@10").mean()).iter_rows())
    assert by_model["ease"] > by_model["popularity"] + 0.1
    assert leads(scored, CONFIG) == ""


def test_a_missing_row_is_an_error(row_last: Path, tuned: Tuned) -> None:
    fewer = tuned.model_copy(update={"peers": tuned.peers[1:]})
    with pytest.raises(DataError, match="popularity was not tuned"):
        score(row_last, fewer, {}, peers=BUILT_IN)
    ends = Peer(name="ease", fit=lambda *_: Mute(), space=BUILT_IN[-1].space)
    with pytest.raises(DataError, match="no list of ease"):
        score(row_last, tuned, {}, peers=[*BUILT_IN[:-1], ends])


def test_a_missing_library_is_an_error_before_anything_is_fitted(row_last: Path) -> None:
    absent = Peer(name="absent", fit=BUILT_IN[0].fit, space=BUILT_IN[0].space, library="no_such_library")
    with pytest.raises(DataError, match="make peers"):
        tune(row_last, n_trials=1, seed=17, peers=[absent])


def test_settings_chosen_on_other_data_are_refused(tuned: Tuned, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not chosen on"):
        score(world(tmp_path, "global"), tuned, {}, peers=BUILT_IN)


def test_a_second_chance_by_hand_is_refused(tuned: Tuned, tmp_path: Path) -> None:
    tuned.save(tmp_path / "tuned.json")
    assert Tuned.load(tmp_path / "tuned.json") == tuned
    kept = json.loads((tmp_path / "tuned.json").read_text())
    more = json.loads(json.dumps(kept))
    more["peers"][0]["trials"].append(
        {"settings": {"popularity_user_power": 0.9}, "figures": dict.fromkeys(METRICS, 0)}
    )
    other = json.loads(json.dumps(kept))
    worst = min(other["peers"][3]["trials"], key=lambda trial: trial["figures"]["ndcg@10"])
    other["peers"][3]["chosen"] = worst["settings"]
    for changed, fault in ((more, "3 trials instead of 2"), (other, "not those with the highest")):
        (tmp_path / "changed.json").write_text(json.dumps(changed))
        with pytest.raises(DataError, match=fault):
            Tuned.load(tmp_path / "changed.json")
    with pytest.raises(DataError, match="tune` first"):
        Tuned.load(tmp_path / "absent.json")


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ([(1, 10, 1), (1, 10, 2)], "an item twice"),
        ([(1, 10, 1), (1, 11, 1)], "a rank twice"),
        ([(1, 10, 0)], "below 1"),
        ([(1, 12, 1)], "own user's context"),
        ([], "empty"),
    ],
)
def test_lists_of_ours_are_checked(tmp_path: Path, rows: list[tuple[int, int, int]], fault: str) -> None:
    schema = {"user_id": pl.Int64(), "item_id": pl.Int64(), "rank": pl.Int64()}
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(tmp_path / "lists.parquet")
    with pytest.raises(DataError, match=fault):
        lists_of("ours", tmp_path / "lists.parquet", pl.DataFrame({"user_id": [1], "item_id": [12]}))


def test_a_table_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fit.parquet"
    for frame, fault in (
        (pl.DataFrame({"user_id": [1]}), "not a table of"),
        (pl.DataFrame({"user_id": [1], "item_id": [1], "rating": [None], "timestamp": [1]}), "empty cells"),
        (by_hand([(1, 1, 5.0, 1), (1, 1, 4.0, 2)]), "twice"),
        (by_hand([]), "no rows"),
    ):
        frame.write_parquet(path)
        with pytest.raises(DataError, match=fault):
            table_of(path)


def test_the_commands_tune_and_score(
    row_last: Path, tuned: Tuned, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = str(tmp_path / "tuned.json")
    assert main(["tune", str(row_last), "--trials", "2", "--settings", kept], BUILT_IN) == 0
    assert Tuned.load(Path(kept)) == tuned
    assert "best of 2" in capsys.readouterr().out
    assert main(["score", str(row_last), "--settings", kept, "--lists", str(tmp_path / "lists")], BUILT_IN) == 0
    assert "| ease |" in capsys.readouterr().out
    assert {path.stem for path in (tmp_path / "lists").iterdir()} == {peer.name for peer in BUILT_IN}
    assert main(["score", str(tmp_path), "--settings", str(tmp_path / "absent.json")], BUILT_IN) == 1
    assert "tune` first" in capsys.readouterr().err


def test_the_command_splits_any_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    titled = tiny_world.movies().select(
        movieId="item_id", title="title", genres=pl.col("genres").list.join("|").replace("", "(no genres listed)")
    )
    titled.write_csv(folder / "movies.csv")
    tiny_world.ratings().rename({"user_id": "userId", "item_id": "movieId"}).write_csv(folder / "ratings.csv")
    made = tmp_path / "row"
    assert main(["split", "--data", str(folder), "--protocol", "global", "--out", str(made)]) == 0
    assert "movies.parquet: 80 rows" in capsys.readouterr().out
    assert pl.read_parquet(made / "movies.parquet").columns == ["item_id", "title", "genres"]


@needs("implicit")
def test_als_learns_the_tastes_of_strangers_and_repeats_itself() -> None:
    config = AlsConfig(factors=8, l2=1.0, alpha=5.0)
    camps_are_found(lambda train: fit_als(train, config, seed=1))


@needs("cornac")
def test_vae_learns_the_tastes_of_strangers_and_repeats_itself() -> None:
    config = VaeConfig(hidden=32, latent=8, epochs=60, batch=32, learning_rate=0.01)
    camps_are_found(lambda train: fit_vae(train, config, seed=1))


@needs("implicit")
@needs("cornac")
def test_every_peer_is_tuned_and_scored(row_last: Path) -> None:
    scored = score(row_last, tune(row_last, n_trials=1, seed=17), {})
    assert set(scored.per_user["model"]) == {peer.name for peer in PEERS}


def by_hand(rows: list[tuple[int, int, float, int]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=RATINGS_COLUMNS, orient="row")


class Mute:
    """A scorer that may list nothing."""

    def score(self, histories: Histories) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return np.full((histories.n_users, histories.n_items), -np.inf, dtype=np.float32)


def watched(peer: Peer, fitted: list[str]) -> Peer:
    def fit(*arguments: object) -> Scorer:
        fitted.append(peer.name)
        return peer.fit(*arguments)  # type: ignore[arg-type]  # handed through as they come

    return Peer(name=peer.name, fit=fit, space=peer.space)


def camps_are_found(fit: Callable[[Histories], Scorer]) -> None:
    """One half of the users teaches; the other half, and one user without a history, are answered."""
    ratings = tiny_world.ratings()
    catalogue = catalogue_of(ratings)
    taught, strangers = tiny_world.USER_IDS[:60], tiny_world.USER_IDS[60:]
    train = histories_of(ratings, catalogue, taught)
    asked = histories_of(ratings, catalogue, np.append(strangers, strangers.max() + 1))
    scores = fit(train).score(asked)
    assert scores.shape == (len(strangers) + 1, catalogue.n_items)
    assert np.isfinite(scores).all()
    assert np.array_equal(scores, fit(train).score(asked))
    truth = tiny_world.likes()[60:][:, np.searchsorted(tiny_world.ITEM_IDS, catalogue.item_ids)]
    unseen = asked.seen().toarray()[:-1] == 0
    liked = [row[suits & new].mean() for row, suits, new in zip(scores, truth, unseen, strict=False)]
    others = [row[~suits & new].mean() for row, suits, new in zip(scores, truth, unseen, strict=False)]
    assert np.mean(np.array(liked) > np.array(others)) > 0.9
