"""Every check is green on what was built, and red when the fault that it is there for is injected."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dagster as dg
import faiss
import numpy as np
import polars as pl
import pytest

from recsys_assets.checks import data, evaluation, feedback, monitoring, ranking, retrieval, schemas
from recsys_assets.definitions import defs
from recsys_assets.resources import LakeResource
from recsys_core import memory
from recsys_core.days import DAY_S
from recsys_core.evaluation.report import OURS
from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.feedback.records import pack_features
from recsys_core.feedback.schemas import IMPLICIT_COLUMNS, OUTCOMES_COLUMNS
from recsys_core.lake.store import Lake
from recsys_core.monitoring.parity import parity_report
from recsys_core.monitoring.served import Served
from recsys_core.serving import PARTS
from recsys_core.serving.bundle import read_bundle
from recsys_core.tables import read_table, write_table
from tests.assets.projects import Project
from tests.assets.refresh.test_planner import skip, write_log
from tests.conftest import Built

CHECKS = {
    check.check_key.name: check
    for check in (
        schemas.movies_keep_their_schema,
        schemas.ratings_keep_their_schema,
        data.ratings_are_of_known_movies,
        data.the_build_fits_into_memory,
        data.no_slice_knows_its_future,
        feedback.every_closed_day_is_ingested,
        schemas.outcomes_keep_their_contract,
        schemas.clicks_keep_their_contract,
        schemas.item_features_keep_their_schema,
        schemas.user_features_keep_their_schema,
        retrieval.no_tower_knows_its_future,
        retrieval.towers_number_the_items_as_the_features,
        retrieval.index_belongs_to_the_towers,
        retrieval.index_finds_what_is_there,
        ranking.features_keep_their_contract,
        ranking.ranking_improves_on_retrieval,
        ranking.probabilities_can_be_taken_at_their_word,
        evaluation.report_counts_everybody,
        evaluation.system_beats_popularity,
        evaluation.no_slice_is_served_worse_than_by_popularity,
        monitoring.answers_take_less_than_their_budget,
        monitoring.online_features_equal_offline_ones,
        monitoring.features_are_like_those_of_the_period_before,
    )
}

WEAK_ON_SMOKE = {
    "system_beats_popularity",
    "no_slice_is_served_worse_than_by_popularity",
    "ranking_improves_on_retrieval",
    "features_are_like_those_of_the_period_before",
}
"""They judge the model, which the smoke settings make small, or people, who change; none blocks."""

TRIED_APART = {
    "the_build_fits_into_memory",
    "no_tower_knows_its_future",
    "every_closed_day_is_ingested",
    "answers_take_less_than_their_budget",
}
"""By tests of their own: their faults lie in two artifacts, in the log, or in the machine."""


def judge(name: str, lake: Path) -> dg.AssetCheckResult:
    result = CHECKS[name](LakeResource(root=str(lake)))
    assert isinstance(result, dg.AssetCheckResult)
    return result


def inject(lake: Path, asset: str, change: Callable[[Path], None]) -> None:
    """Publish the current files of an asset with a fault in them, under the lineage that they have."""
    store = Lake(lake)
    made, files = store.current(asset), store.open(asset)
    assert made is not None

    def write(folder: Path) -> None:
        for file in made.files:
            shutil.copyfile(files / file, folder / file)
        change(folder)

    store.publish(asset, write, made.lineage)


def altered(table: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Callable[[Path], None]:
    """A fault in one table."""
    return lambda folder: write_table(change(read_table(folder / table)), folder / table)


def test_every_check_of_the_project_is_tried_here() -> None:
    keys = defs.resolve_asset_graph().asset_check_keys
    assert {key.name for key in keys} == CHECKS.keys()
    assert {fault[0] for fault in FAULTS} == CHECKS.keys() - WEAK_ON_SMOKE - TRIED_APART


@pytest.mark.parametrize("name", sorted(CHECKS.keys() - WEAK_ON_SMOKE - {"answers_take_less_than_their_budget"}))
def test_a_check_passes_on_what_was_built(built: Built, name: str) -> None:
    assert built.first.code == 0
    assert judge(name, built.project.lake).passed


def shuffled_times(folder: Path) -> None:
    """A random split: the targets keep their users, but the times are dealt anew."""
    frame = read_table(folder / "targets.parquet")
    times = np.random.default_rng(3).permutation(frame["timestamp"].to_numpy())
    write_table(frame.with_columns(timestamp=pl.Series(times)), folder / "targets.parquet")


def cuts_after_the_targets(folder: Path) -> None:
    """`<=` for `<`: what is asked for is known when asking."""
    users = read_table(folder / "users.parquet")
    write_table(users.with_columns(pl.col("cut") + 1), folder / "users.parquet")


def windows_without_users(folder: Path) -> None:
    """Nobody is asked, so that answers are of nobody."""
    users = read_table(folder / "users.parquet")
    write_table(users.filter(~pl.col("slice").str.contains("window")), folder / "users.parquet")


def index_of(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:  # type: ignore[type-arg]
    """An exact index over other vectors."""

    def write(folder: Path) -> None:
        path = folder / "items.faiss"
        index = faiss.deserialize_index(np.frombuffer(path.read_bytes(), dtype=np.uint8))
        vectors = change(index.reconstruct_n(0, index.ntotal))
        other = faiss.IndexFlatIP(vectors.shape[1])
        other.add(np.ascontiguousarray(vectors))
        path.write_bytes(faiss.serialize_index(other).tobytes())

    return write


def ids_shifted(folder: Path) -> None:
    ids = np.load(folder / "item_ids.npy")
    np.save(folder / "item_ids.npy", np.concatenate([ids[1:], ids[-1:] + 1]))


def without_one_user(table: str) -> Callable[[Path], None]:
    return altered(table, lambda frame: frame.filter(pl.col("user_id") != frame["user_id"].max()))


HOLE = pl.lit(float("nan"), pl.Float32)

OUTCOME = pl.DataFrame(
    [("r1", 1, 2, 1, "v1", "greedy", 1.0, "f1", b"", b"", 1_476_748_800, 1_476_835_200, 0, None)],
    schema=OUTCOMES_COLUMNS,
    orient="row",
)
CLICK = pl.DataFrame([(1, 2, 1_476_748_800, None, "e1", None, 0.1)], schema=IMPLICIT_COLUMNS, orient="row")


def outcome(**changes: object) -> Callable[[Path], None]:
    """The only slot that was judged, with a fault in it."""
    return altered("impression_outcomes.parquet", lambda t: pl.concat([t, changed(OUTCOME, changes)]))


def click(**changes: object) -> Callable[[Path], None]:
    """The only click, with a fault in it."""
    return altered("implicit_feedback.parquet", lambda t: pl.concat([t, changed(CLICK, changes)]))


def changed(row: pl.DataFrame, changes: dict[str, object]) -> pl.DataFrame:
    return row.with_columns(pl.lit(value, row.schema[name]).alias(name) for name, value in changes.items())


FAULTS = [
    ("movies_keep_their_schema", "movies", altered("movies.parquet", lambda t: pl.concat([t, t.head(1)]))),
    ("movies_keep_their_schema", "movies",
     altered("movies.parquet", lambda t: t.with_columns(year=pl.lit(18_700, pl.Int32)))),
    ("ratings_are_of_known_movies", "movies", altered("movies.parquet", lambda t: t.filter(pl.col("item_id") > 1))),
    ("outcomes_keep_their_contract", "impression_outcomes", outcome(label=2)),
    ("outcomes_keep_their_contract", "impression_outcomes", outcome(propensity=0.0)),
    ("outcomes_keep_their_contract", "impression_outcomes", outcome(settled_at=0)),
    ("clicks_keep_their_contract", "implicit_feedback", click(weight=-0.1)),
    ("clicks_keep_their_contract", "implicit_feedback", click(weight=float("nan"))),
    ("clicks_keep_their_contract", "implicit_feedback", click(position=0)),
    ("towers_number_the_items_as_the_features", "item_features",
     altered("item_features.parquet", lambda t: t.sort("item_id", descending=True))),
    ("towers_number_the_items_as_the_features", "item_features",
     altered("item_features.parquet", lambda t: t.with_columns(item_id=pl.col("item_id") + 1))),
    ("ratings_keep_their_schema", "ratings", altered("ratings.parquet", lambda t: pl.concat([t, t.head(1)]))),
    ("ratings_keep_their_schema", "ratings",
     altered("ratings.parquet", lambda t: t.with_columns(pl.col("rating") * 2))),
    ("ratings_keep_their_schema", "ratings",
     altered("ratings.parquet", lambda t: t.with_columns(pl.lit(0, pl.Int64).alias("timestamp")))),
    ("ratings_keep_their_schema", "ratings", altered("ratings.parquet", lambda t: t.drop("rating"))),
    ("no_slice_knows_its_future", "splits", shuffled_times),
    ("no_slice_knows_its_future", "splits", cuts_after_the_targets),
    ("no_slice_knows_its_future", "splits", windows_without_users),
    ("no_slice_knows_its_future", "splits",
     altered("cutoffs.parquet", lambda t: t.with_columns(pl.col("fit_end") + 86_400 * 400))),
    ("no_slice_knows_its_future", "splits",
     altered("test_targets.parquet", lambda t: t.with_columns(pl.col("timestamp") - 86_400 * 4000))),
    ("item_features_keep_their_schema", "item_features",
     altered("item_features.parquet", lambda t: t.with_columns(pl.col("item_like_share") + 0.75))),
    ("item_features_keep_their_schema", "item_features",
     altered("item_features.parquet", lambda t: t.with_columns(item_mean_rating=HOLE))),
    ("item_features_keep_their_schema", "item_features",
     altered("item_features.parquet", lambda t: t.with_columns(pl.col("item_days_known") * 86_400))),
    ("item_features_keep_their_schema", "item_features",
     altered("item_features.parquet", lambda t: pl.concat([t, t.head(1)]))),
    ("user_features_keep_their_schema", "user_features",
     altered("user_features.parquet", lambda t: t.with_columns(pl.col("user_mean_rating") * 2))),
    ("user_features_keep_their_schema", "user_features",
     altered("user_features.parquet", lambda t: t.with_columns(user_n_ratings=HOLE))),
    ("user_features_keep_their_schema", "user_features",
     altered("user_features.parquet", lambda t: t.drop("user_like_share"))),
    ("index_belongs_to_the_towers", "faiss_index", index_of(lambda vectors: vectors[::-1])),
    ("index_belongs_to_the_towers", "faiss_index", index_of(lambda vectors: vectors * 1.01)),
    ("index_belongs_to_the_towers", "faiss_index", index_of(lambda vectors: vectors[:, :-1])),
    ("index_belongs_to_the_towers", "faiss_index", ids_shifted),
    ("index_belongs_to_the_towers", "item_embeddings", ids_shifted),
    ("index_finds_what_is_there", "retrieval_report",
     altered("index_recall.parquet", lambda t: t.with_columns(recall=pl.lit(0.95, pl.Float32)))),
    ("index_finds_what_is_there", "retrieval_report",
     altered("index_recall.parquet", lambda t: t.with_columns(recall=HOLE))),
    ("features_keep_their_contract", "ranking_examples",
     altered("rows.parquet", lambda t: t.with_columns(item_popularity_share=pl.col("item_popularity_share") + 1))),
    ("features_keep_their_contract", "ranking_examples",
     altered("rows.parquet", lambda t: t.with_columns(item_mean_rating=HOLE))),
    ("features_keep_their_contract", "ranking_examples",
     altered("rows.parquet", lambda t: t.with_columns(item_mean_rating=pl.lit(9, pl.Float32)))),
    ("features_keep_their_contract", "ranking_examples",
     altered("rows.parquet", lambda t: t.drop("user_n_ratings"))),
    ("probabilities_can_be_taken_at_their_word", "ranking_report",
     altered("forecasts.parquet", lambda t: t.with_columns(calibration_error=0.34 * pl.col("observed")))),
    ("probabilities_can_be_taken_at_their_word", "ranking_report",
     altered("forecasts.parquet", lambda t: t.with_columns(calibration_error=pl.lit(float("nan"))))),
    ("report_counts_everybody", "eval_report",
     altered("summary.parquet", lambda t: t.with_columns(n=pl.when(model="ease").then(79).otherwise("n")))),
    ("report_counts_everybody", "eval_report",
     altered("summary.parquet", lambda t: t.filter(pl.col("model") != "item_knn"))),
    ("report_counts_everybody", "eval_report", without_one_user("fates.parquet")),
    ("report_counts_everybody", "eval_report", without_one_user("per_user.parquet")),
    ("report_counts_everybody", "eval_report", altered("funnel.parquet", lambda t: t.head(t.height - 1))),
    ("online_features_equal_offline_ones", "parity_report",
     altered("columns.parquet", lambda t: t.with_columns(n_mismatches=pl.int_range(pl.len()) // (pl.len() - 1)))),
    ("online_features_equal_offline_ones", "parity_report",
     altered("about.parquet", lambda t: t.with_columns(n_absent=pl.lit(1, pl.Int64)))),
    ("online_features_equal_offline_ones", "parity_report",
     altered("lists.parquet", lambda t: t.with_columns(n_requests=pl.int_range(pl.len()) // (pl.len() - 1)))),
    ("online_features_equal_offline_ones", "parity_report",
     altered("about.parquet", lambda t: t.with_columns(n_slots=pl.lit(0, pl.Int64)))),
]  # fmt: skip


@pytest.mark.parametrize(("name", "asset", "fault"), FAULTS)
def test_a_check_is_red_on_its_fault(
    built: Built, tmp_path: Path, name: str, asset: str, fault: Callable[[Path], None]
) -> None:
    shutil.copytree(built.project.lake / "artifacts", tmp_path / "artifacts")
    inject(tmp_path, asset, fault)
    assert not judge(name, tmp_path).passed


def test_a_build_that_needs_more_memory_than_there_is_is_not_begun(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container that allows 4 MiB: the ranker's rows of the smoke preset alone take more."""
    limit = tmp_path / "memory.max"
    limit.write_text(str(4 << 20))
    monkeypatch.setattr(memory, "CGROUP_LIMITS", (limit,))
    result = judge("the_build_fits_into_memory", built.project.lake)
    assert not result.passed
    assert result.description is not None
    assert "ranking_examples would take" in result.description


def test_a_tower_that_saw_its_future_is_noticed(built: Built, tmp_path: Path) -> None:
    shutil.copytree(built.project.lake / "artifacts", tmp_path / "artifacts")
    store = Lake(tmp_path)
    made, files = store.current("two_tower"), store.open("two_tower")
    assert made is not None
    everything = made.lineage.facts["fitted_on.now"]
    facts = dict.fromkeys(made.lineage.facts, everything)  # one tower, fitted once, used for every slice
    lineage = made.lineage.model_copy(update={"facts": facts})
    store.publish("two_tower", lambda to: [shutil.copyfile(files / file, to / file) for file in made.files], lineage)  # type: ignore[arg-type,func-returns-value]
    assert not judge("no_tower_knows_its_future", tmp_path).passed


@pytest.mark.parametrize("low", [-0.01, 0.0, 0.01])
def test_our_lead_must_be_beyond_chance(built: Built, tmp_path: Path, low: float) -> None:
    shutil.copytree(built.project.lake / "artifacts", tmp_path / "artifacts")
    inject(tmp_path, "eval_report", altered("comparison.parquet", lambda t: t.with_columns(low=pl.lit(low))))
    assert judge("system_beats_popularity", tmp_path).passed == (low > 0)


@pytest.mark.parametrize("gain", [-0.5, 0.5])
def test_ranking_that_makes_the_order_worse_is_warned_of(built: Built, tmp_path: Path, gain: float) -> None:
    shutil.copytree(built.project.lake / "artifacts", tmp_path / "artifacts")
    value = pl.when(pl.col("order") == "ranking").then(0.5 + gain / 2).otherwise(0.5 - gain / 2)
    inject(tmp_path, "ranking_report", altered("per_user.parquet", lambda t: t.with_columns(ndcg=value)))
    result = judge("ranking_improves_on_retrieval", tmp_path)
    assert result.passed == (gain > 0)
    assert result.severity == dg.AssetCheckSeverity.WARN


@pytest.mark.parametrize("lead", [-0.01, 0.01])
def test_a_slice_that_is_served_worse_than_by_popularity_is_warned_of(
    built: Built, tmp_path: Path, lead: float
) -> None:
    """All slices but one lead by far."""
    shutil.copytree(built.project.lake / "artifacts", tmp_path / "artifacts")
    ours = pl.when(pl.col("slice") == "new since").then(0.1 + lead).otherwise(0.9)
    value = pl.when(pl.col("model") == OURS).then(ours).otherwise(0.1)
    inject(tmp_path, "eval_report", altered("user_slices.parquet", lambda t: t.with_columns(mean=value)))
    result = judge("no_slice_is_served_worse_than_by_popularity", tmp_path)
    assert result.passed == (lead > 0)
    assert result.severity == dg.AssetCheckSeverity.WARN
    assert result.metadata["worst_slice"].value == "user: new since"


def test_a_value_that_was_read_otherwise_is_named(built: Built, tmp_path: Path) -> None:
    """The report of some requests of which one had been asked, as the log says, in another time zone."""
    shutil.copytree(built.project.lake / "artifacts", tmp_path / "artifacts")
    store, column = Lake(tmp_path), FEATURE_NAMES.index("context_hour")
    past = Served.load(store.open("past_requests"))
    few = past.requests.head(20)
    shown = past.impressions.join(few, on="request_id", how="semi").sort("request_id", "position")
    served = Served(requests=few, impressions=shown)
    read = served.features()
    read[:10, column] = (read[:10, column] + 2) % 24
    packed = pl.Series([pack_features(row) for row in read], dtype=pl.Binary)
    shifted = Served(requests=few, impressions=shown.with_columns(features=packed))
    parts = {part: store.open(part) for part in PARTS}
    for one, at_fault in ((served, []), (shifted, ["context_hour"])):
        report = parity_report(one, read_bundle(parts))
        inject(tmp_path, "parity_report", report.save)
        result = judge("online_features_equal_offline_ones", tmp_path)
        assert result.passed == (not at_fault)
        assert result.metadata["at_fault"].value == at_fault
        assert result.metadata["n_requests"].value == 20
    assert result.metadata["n_mismatches"].value == 10
    assert result.severity == dg.AssetCheckSeverity.ERROR


@pytest.mark.parametrize(
    ("is_judged", "p_holm", "passed"), [(True, 0.9, True), (True, 0.01, False), (False, 0.9, False)]
)
def test_drift_and_too_few_users_to_tell_are_warned_of(
    built: Built, tmp_path: Path, *, is_judged: bool, p_holm: float, passed: bool
) -> None:
    shutil.copytree(built.project.lake / "artifacts", tmp_path / "artifacts")

    def write(folder: Path) -> None:
        altered("about.parquet", lambda t: t.with_columns(is_judged=pl.lit(is_judged)))(folder)
        is_hour = pl.col("column") == "context_hour"
        altered("columns.parquet", lambda t: t.with_columns(is_drift=is_hour & pl.lit(p_holm < 0.05)))(folder)

    inject(tmp_path, "drift_report", write)
    result = judge("features_are_like_those_of_the_period_before", tmp_path)
    assert result.passed == passed
    assert result.severity == dg.AssetCheckSeverity.WARN
    assert result.metadata["drifted"].value == (["context_hour"] if p_holm < 0.05 else [])
    assert ("not judged" in str(result.metadata["verdict"].value)) == (not is_judged)


@pytest.mark.slow
def test_a_day_that_waits_turns_the_check_of_the_log_red_and_a_silent_one_does_not(project: Project) -> None:
    name = "every_closed_day_is_ingested"
    write_log(project, [skip("a"), replace(skip("b"), received_at=skip().received_at + 2 * DAY_S)])
    waiting = judge(name, project.lake)
    assert not waiting.passed
    assert waiting.metadata["n_days_waiting"].value == 2
    assert waiting.metadata["n_silent_days"].value == 1
    assert "2016-10-18" in str(waiting.metadata["gaps"].value)
    assert project.recsys("backfill", "2016-10-18", "2016-10-20").code == 0
    done = judge(name, project.lake)
    assert done.passed
    assert done.metadata["n_silent_days"].value == 1


def test_a_slot_and_a_click_without_fault_pass(built: Built, tmp_path: Path) -> None:
    shutil.copytree(built.project.lake / "artifacts", tmp_path / "artifacts")
    for name, asset, change in (
        ("outcomes_keep_their_contract", "impression_outcomes", outcome()),
        ("clicks_keep_their_contract", "implicit_feedback", click()),
    ):
        inject(tmp_path, asset, change)
        assert judge(name, tmp_path).passed


def test_answers_that_take_longer_than_their_budget_are_told(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    """By budgets that no machine misses, and none keeps: how fast this one is, is no matter of a test."""
    monkeypatch.setattr(monitoring, "BUDGET_MS", 1e6)
    assert judge("answers_take_less_than_their_budget", built.project.lake).passed
    monkeypatch.setattr(monitoring, "BUDGET_MS", 1e-6)
    slow = judge("answers_take_less_than_their_budget", built.project.lake)
    assert not slow.passed
    assert slow.severity == dg.AssetCheckSeverity.WARN
    assert slow.metadata["n_answers"].value == 200
    assert 0 < float(slow.metadata["p50_ms"].value) <= float(slow.metadata["p99_ms"].value)  # type: ignore[arg-type]


@pytest.mark.parametrize("n_requests", [0, 20, 21])
def test_where_nothing_was_timed_it_is_said_what_to_set(built: Built, tmp_path: Path, n_requests: int) -> None:
    """The first twenty answers do not count."""
    shutil.copytree(built.project.lake / "artifacts", tmp_path / "artifacts")
    inject(tmp_path, "past_requests", altered("requests.parquet", lambda t: t.head(n_requests)))
    result = judge("answers_take_less_than_their_budget", tmp_path)
    assert result.metadata["n_answers"].value == max(n_requests - 20, 0)
    if n_requests <= 20:
        assert not result.passed
        assert result.severity == dg.AssetCheckSeverity.WARN
        assert "past_requests.max_requests above 20" in (result.description or "")
