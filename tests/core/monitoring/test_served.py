"""What was served comes back from the log as it was shown, each request once, up to the last closed day."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys_core.data.ratings_table import every_rating
from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.feedback.exposures import Exposed, shown_slots
from recsys_core.feedback.records import (
    IMPRESSIONS_TABLE,
    REQUESTS_TABLE,
    Impression,
    RequestRecord,
    pack_features,
)
from recsys_core.feedback.schemas import IMPRESSIONS, REQUESTS
from recsys_core.feedback.sqlite_log import SqliteLog
from recsys_core.feedback.values import FRESH, MISSING, STALE
from recsys_core.monitoring.clustered_sample import SCORE
from recsys_core.monitoring.parity import parity_report
from recsys_core.monitoring.served import Served, historical_requests, served_until
from recsys_core.serving.bundle import Bundle
from recsys_core.serving.logging import impression_records, request_record
from recsys_core.serving.recommender import Recommender
from recsys_core.serving.requests import Answer, Request
from recsys_core.serving.user_state import observations
from tests.core.feedback.rows import DAY, START, impression, request
from tests.core.monitoring.conftest import N_PLAYED

D = len(FEATURE_NAMES)
NEXT_DAY, SECONDS = "2017-07-15", 86_400


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    """An empty one."""
    with SqliteLog(tmp_path / "log") as one:
        yield one


def answers(release: Bundle, n: int = 12) -> list[Answer]:
    """Of people known, unknown and unnamed, some with a history of their own; asked on the day."""
    recommender = Recommender(bundle=release)
    likes = recommender.somebody_who_likes([5_000, 5_007, 5_014], START)
    whom: list[int | None] = [11, 14, 10**6, None]
    given = []
    for at in range(n):
        user_id = whom[at % 4]
        asked = Request(request_id=f"r{at}", user_id=user_id, history=likes[: at % 3], requested_at=START + at, k=5)
        given.append(recommender.answer(asked))
        if user_id is not None:
            recommender.observe(user_id, given[-1].as_shown(START + at))
    return given


def appended(log: SqliteLog, release: Bundle, answer: Answer, served_at: int) -> None:
    log.append(
        requests=[request_record(answer, release.release, served_at)],
        impressions=impression_records(answer, release.release, served_at),
    )


def by_hand(*rows: tuple[str, int | None, int], values: float = 1.0) -> Served:
    """One slot each of (request_id, user_id, seconds after START)."""
    read, states = pack_features(np.full(D, values, dtype=np.float32)), bytes([FRESH] * D)
    asked, shown = [], []
    for name, user, at in rows:
        of_row = {
            "request_id": name, "user_id": user, "requested_at": START + at, "served_at": (START + at) * 1_000_000
        }  # fmt: skip
        asked.append(request(**of_row))
        shown.append(impression(**of_row, features=read, feature_states=states))
    return Served(requests=REQUESTS_TABLE.frame(asked), impressions=IMPRESSIONS_TABLE.frame(shown))


def test_answers_come_back_from_the_log_bit_for_bit_and_replay_clean(log: SqliteLog, release: Bundle) -> None:
    given = answers(release)
    for at, answer in enumerate(given):
        appended(log, release, answer, (START + at) * 1_000_000 + 7)
    served = served_until(log, DAY)
    expected_requests: list[RequestRecord] = [
        request_record(one, release.release, (START + at) * 1_000_000 + 7) for at, one in enumerate(given)
    ]
    expected: list[Impression] = [
        slot
        for at, one in enumerate(given)
        for slot in impression_records(one, release.release, (START + at) * 1_000_000 + 7)
    ]
    assert served.requests.equals(REQUESTS_TABLE.frame(expected_requests).sort("request_id"))
    assert served.impressions.equals(IMPRESSIONS_TABLE.frame(expected).sort("request_id", "position"))
    in_order = sorted(given, key=lambda one: one.request.request_id)
    read = np.concatenate([one.features for one in in_order])
    assert np.isnan(read).any()
    assert np.array_equal(served.features().view(np.uint32), read.view(np.uint32))
    report = parity_report(served, release)
    assert report.at_fault() == []
    assert report.is_clean()


def test_what_was_delivered_again_counts_once_as_it_came_first(log: SqliteLog, release: Bundle) -> None:
    """By the same client a second later, by another writer, and on the day after."""
    (answer,) = answers(release, 1)
    for later in (0, 1_000_000, 0, SECONDS * 1_000_000):
        appended(log, release, answer, START * 1_000_000 + later)
    with SqliteLog(log.folder) as other:
        appended(other, release, answer, START * 1_000_000 + 2_000_000)
    for until in (DAY, NEXT_DAY):
        served = served_until(log, until)
        assert served.requests["served_at"].to_list() == [START * 1_000_000]
        assert served.impressions["position"].to_list() == [1, 2, 3, 4, 5]
        assert set(served.impressions["served_at"]) == {START * 1_000_000}


def test_of_two_that_contradict_each_other_the_first_counts(log: SqliteLog) -> None:
    log.append(requests=[request(1)], impressions=[impression(1, score=1.0)])
    at = request(1).served_at + 1
    log.append(requests=[request(1, k=9, served_at=at)], impressions=[impression(1, score=2.0, served_at=at)])
    served = served_until(log, DAY)
    assert served.requests["k"].to_list() == [2]
    assert served.impressions["score"].to_list() == [1.0]


def test_days_after_the_last_closed_one_are_left_out(log: SqliteLog) -> None:
    for number, at in ((1, START - 1), (2, START), (3, START + SECONDS - 1), (4, START + SECONDS)):
        arrived = {"served_at": at * 1_000_000}
        log.append(requests=[request(number, **arrived)], impressions=[impression(number, **arrived)])
    for until, expected in (("2017-07-12", []), ("2017-07-13", ["r1"]), (DAY, ["r1", "r2", "r3"])):
        served = served_until(log, until)
        assert served.requests["request_id"].to_list() == expected
        assert served.impressions["request_id"].to_list() == expected
    assert served_until(log, NEXT_DAY).requests.height == 4


def test_a_slot_without_its_request_is_left_out(log: SqliteLog) -> None:
    log.append(requests=[request(1)], impressions=[impression(1), impression(2)])
    assert served_until(log, DAY).impressions["request_id"].to_list() == ["r1"]


def test_an_empty_log_is_nothing_served(log: SqliteLog) -> None:
    served = served_until(log, DAY)
    assert served.requests.schema == REQUESTS_TABLE.columns
    assert served.impressions.schema == IMPRESSIONS_TABLE.columns
    assert served.features().shape == (0, D)
    assert served.n_users == 0
    assert served.sample().values.shape == (0, D + 1)
    assert served.between(0, 10**12).requests.is_empty()


def test_both_tables_survive_the_disk(past: Served, tmp_path: Path) -> None:
    past.save(tmp_path)
    again = Served.load(tmp_path)
    assert again.requests.equals(past.requests)
    assert again.impressions.equals(past.impressions)


def test_a_release_has_its_own_requests_and_slots(past: Served) -> None:
    of_other = Served(requests=by_hand(("x", 1, 0)).requests, impressions=by_hand(("x", 1, 0), ("y", 2, 0)).impressions)
    both = past.and_also(of_other)
    assert both.requests.height == past.requests.height + 1
    assert both.impressions.height == past.impressions.height + 2
    assert both.of_release("v1").requests["request_id"].to_list() == ["x"]
    assert both.of_release("v1").impressions["request_id"].to_list() == ["x"], "nobody asked y"
    assert both.of_release("v2").requests.is_empty()


def test_a_feature_set_has_its_own_requests_and_slots() -> None:
    """Rows of another number of features cannot stand in one table, and those of another version mean another thing."""
    served = by_hand(("a", 1, 0), ("b", 2, 0))
    older = served.impressions.with_columns(
        feature_set=pl.when(request_id="a").then(pl.lit("f0")).otherwise("feature_set"),
        features=pl.when(request_id="a").then(pl.lit(b"\0" * 8)).otherwise("features"),
    )
    of_ours = replace(served, impressions=older).of_feature_set("f1")
    assert of_ours.requests["request_id"].to_list() == ["b"]
    assert of_ours.features().shape == (1, D)


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param({"features": b"", "feature_states": b""}, id="an answer without a ranker"),
        pytest.param({"features": bytes(8), "feature_states": bytes(2)}, id="two features"),
        pytest.param({"features": bytes(4 * D), "feature_states": bytes(D), "score": -1e39}, id="beyond float32"),
    ],
)
def test_a_slot_that_fits_into_no_table_is_left_out_whatever_version_it_names(odd: dict[str, Any]) -> None:
    served = by_hand(("a", 1, 0), ("b", 2, 0))
    beside = IMPRESSIONS_TABLE.frame([impression(request_id="a", position=2, **odd)])
    of_both = replace(served, impressions=pl.concat([beside, served.impressions]))
    for readable in (of_both.of_feature_set("f1"), of_both.of_release("v1")):
        assert readable.impressions.equals(served.impressions)
        assert readable.sample().values.shape == (2, D + 1)
        assert readable.states().shape == (2, D)


def test_a_period_holds_its_first_second_and_not_its_last() -> None:
    served = by_hand(("a", 1, 0), ("b", 2, 1), ("c", 3, SECONDS), ("d", 4, 2 * SECONDS))
    first = int(served.requests["requested_at"].min())
    assert served.last_asked_at == first + 2 * SECONDS
    for since, until, expected in (
        (0, 1, ["a"]), (0, 2, ["a", "b"]), (1, SECONDS, ["b"]), (1, 2 * SECONDS + 1, ["b", "c", "d"]),
    ):  # fmt: skip
        window = served.between(first + since, first + until)
        assert window.requests["request_id"].to_list() == expected
        assert window.impressions["request_id"].to_list() == expected


def test_a_request_as_of_the_future_counts_for_the_second_of_its_answer() -> None:
    served = by_hand(("a", 1, 0), ("b", 2, 2 * SECONDS), ("ahead", 3, 2 * SECONDS))
    far = pl.when(request_id="ahead").then(pl.lit(9_999_999_999)).otherwise("requested_at")
    ahead = replace(served, requests=served.requests.with_columns(requested_at=far))
    assert ahead.last_asked_at == served.last_asked_at
    window = ahead.between(ahead.last_asked_at - SECONDS + 1, ahead.last_asked_at + 1)
    assert window.requests["request_id"].to_list() == ["b", "ahead"]


def test_a_user_is_a_cluster_and_so_is_everybody_unnamed_by_themselves() -> None:
    served = by_hand(("a", 5, 0), ("b", 5, 1), ("c", None, 2), ("d", None, 3), ("5", None, 4), ("e", 6, 5))
    assert served.n_users == 5
    clusters = served.sample().clusters
    assert len(clusters) == 6
    assert clusters[0] == clusters[1]
    assert len(set(clusters.tolist())) == 5


def test_the_slots_of_one_request_of_somebody_unnamed_hang_together() -> None:
    served = by_hand(("a", None, 0), ("a", None, 0), ("b", None, 0))
    clusters = served.sample().clusters.tolist()
    assert clusters[0] == clusters[1] != clusters[2]


def test_a_sample_shows_what_the_ranker_read_and_said_with_gaps_where_a_default_stood_in() -> None:
    values = np.arange(2 * D, dtype=np.float32).reshape(2, D)
    states = np.full((2, D), FRESH, dtype=np.uint8)
    states[0, 3], states[1, 5] = MISSING, STALE
    shown = [
        impression(
            1, 1 + row, score=0.5 + row, features=pack_features(values[row]), feature_states=states[row].tobytes()
        )
        for row in range(2)
    ]
    served = Served(requests=REQUESTS_TABLE.frame([request(1)]), impressions=IMPRESSIONS_TABLE.frame(shown))
    sample = served.sample()
    expected = np.column_stack([values, [0.5, 1.5]])
    expected[0, 3] = expected[1, 5] = np.nan
    assert sample.names == (*FEATURE_NAMES, SCORE)
    assert np.array_equal(sample.values, expected.astype(np.float32), equal_nan=True)
    assert np.array_equal(served.features(), values), "the log itself keeps what was read"


def test_how_often_a_default_stood_in_is_told_by_feature_worst_first() -> None:
    states = np.zeros((4, len(FEATURE_NAMES)), dtype=np.uint8)
    states[:3, 2], states[0, 5], states[1, 5] = STALE, MISSING, STALE
    rows = (
        IMPRESSIONS_TABLE.frame([])
        .clear(4)
        .with_columns(
            feature_states=pl.Series([row.tobytes() for row in states]),
            features=pl.Series([bytes(4 * len(FEATURE_NAMES))] * 4),
        )
    )
    shares = Served(requests=REQUESTS_TABLE.frame([]), impressions=rows).degraded_shares()
    assert shares["feature"].to_list()[:2] == [FEATURE_NAMES[2], FEATURE_NAMES[5]]
    assert shares.head(2).rows() == [(FEATURE_NAMES[2], 0.0, 0.75), (FEATURE_NAMES[5], 0.25, 0.25)]
    assert shares.height == len(FEATURE_NAMES)
    assert shares["missing_share"].sum() + shares["stale_share"].sum() == 1.25


def test_of_nothing_served_no_share_is_degraded() -> None:
    nothing = Served(requests=REQUESTS_TABLE.frame([]), impressions=IMPRESSIONS_TABLE.frame([]))
    assert nothing.degraded_shares().select("missing_share", "stale_share").sum().row(0) == (0.0, 0.0)


def test_requests_can_be_asked_again_as_they_were(log: SqliteLog, release: Bundle) -> None:
    given = answers(release)
    for at, answer in enumerate(given):
        appended(log, release, answer, (START + at) * 1_000_000)
    in_order = sorted((one.request for one in given), key=lambda one: (one.requested_at, one.request_id))
    served = served_until(log, DAY)
    assert served.last_asked(len(given)) == in_order
    assert served.last_asked(2) == in_order[-2:]
    assert any(one.history for one in in_order)
    assert any(one.user_id is None for one in in_order)


def latest(bundle: Bundle, n: int) -> pl.DataFrame:
    return bundle.ratings.sort("timestamp", maintain_order=True).tail(n)


def test_before_each_of_the_latest_ratings_its_user_asks(release: Bundle, past: Served) -> None:
    since = latest(release, N_PLAYED)
    assert (
        past.requests.sort("request_id").select("user_id", "requested_at").rows()
        == since.select("user_id", "timestamp").rows()
    )
    assert past.requests["request_id"].is_unique().all()
    assert set(past.requests["release"]) == {release.release}
    assert past.requests["served_at"].to_list() == [1_000_000 * at for at in past.requests["requested_at"]]
    assert set(past.requests["k"]) == {10}
    assert past.requests["history"].null_count() == past.requests.height


def test_what_is_served_is_fit_for_the_log(past: Served) -> None:
    REQUESTS.validate(past.requests)
    IMPRESSIONS.validate(past.impressions)
    shown = past.impressions.group_by("request_id").agg(pl.col("position").sort())
    assert shown["position"].to_list() == [list(range(1, 11))] * past.requests.height


def test_what_follows_people_rating_by_rating_answers_as_one_that_knows_everything(
    release: Bundle, past: Served
) -> None:
    """A state that was moved on by each rating, and one that is counted from all of them as of the request.

    The one that knows everything was told of all slots at once, those of later requests among them.
    """
    shown_then = observations(replace(Exposed.nothing(), shown=shown_slots(past.impressions)))
    for asked in past.requests.sort("request_id").gather_every(9).iter_rows(named=True):
        fresh = Recommender(bundle=release)
        for user_id, what in shown_then:
            fresh.observe(user_id, what)
        request = Request(request_id="r", user_id=asked["user_id"], requested_at=asked["requested_at"], k=asked["k"])
        answer = fresh.answer(request)
        shown = past.impressions.filter(request_id=asked["request_id"]).sort("position")
        assert shown["item_id"].to_list() == answer.item_ids.tolist()
        assert shown["features"].to_list() == [row.tobytes() for row in answer.features]


def test_people_are_followed_from_request_to_request(release: Bundle, past: Served) -> None:
    """Of one user, requests in later seconds know more, those of one second the same."""
    n_ratings, known = FEATURE_NAMES.index("user_n_ratings"), past.impressions.filter(position=1)
    counted = known.with_columns(n=pl.Series(past.features()[::10, n_ratings])).sort("request_id")
    n_new = 0
    for own in counted.partition_by("user_id"):
        for before, after in itertools.pairwise(own.iter_rows(named=True)):
            same_second = before["requested_at"] == after["requested_at"]
            assert after["n"] == before["n"] if same_second else after["n"] > before["n"]
            n_new += not same_second
    assert n_new > 50


def test_nobody_is_shown_what_they_have_rated(release: Bundle, past: Served) -> None:
    rated = past.impressions.join(release.ratings, on=["user_id", "item_id"])
    assert rated.height
    assert (rated["timestamp"] >= rated["requested_at"]).all()


def test_a_second_rating_of_an_item_is_a_request_of_its_own(release: Bundle) -> None:
    again = latest(release, 1).with_columns(pl.col("timestamp") + 60, rating=pl.lit(0.5, pl.Float32))
    twice = replace(release, ratings=every_rating(release.ratings, again))
    once, both = historical_requests(release, 3, 20), historical_requests(twice, 3, 21)
    assert both.requests.head(20).drop("release").equals(once.requests.drop("release"))
    assert both.requests["requested_at"].to_list()[-2:] == [again["timestamp"].item() - 60, again["timestamp"].item()]
    assert both.impressions.height == 63


def test_without_a_rating_nothing_is_asked(release: Bundle) -> None:
    served = historical_requests(replace(release, ratings=release.ratings.clear()), 10, N_PLAYED)
    assert served.requests.is_empty()
    assert served.impressions.is_empty()
    assert served.features().shape == (0, len(FEATURE_NAMES))


def test_the_release_is_left_as_it_was(release: Bundle) -> None:
    ratings, features = release.ratings.clone(), release.generator.items.features.copy()
    first, second = (historical_requests(release, 5, 40) for _ in range(2))
    assert release.ratings.equals(ratings)
    assert np.array_equal(release.generator.items.features, features, equal_nan=True)
    assert first.impressions.equals(second.impressions)


def test_no_more_is_played_back_than_asked_for_and_it_is_the_latest(release: Bundle) -> None:
    """The same answers, whether those before were played back as well or were known at once.

    But for what was shown in those that were played back.
    """
    others = [at for at, name in enumerate(FEATURE_NAMES) if name != "pair_shown_unclicked"]
    more, fewer = historical_requests(release, 5, 27), historical_requests(release, 5, 7)
    asked = ("user_id", "requested_at", "k")
    assert fewer.requests.select(asked).equals(more.requests.select(asked).tail(7))
    shown = ("item_id", "position", "score")
    assert fewer.impressions.select(shown).equals(more.impressions.select(shown).tail(35))
    assert np.array_equal(fewer.features()[:, others], more.features()[-35:, others], equal_nan=True)
    assert not np.array_equal(fewer.features(), more.features()[-35:], equal_nan=True)


def test_more_than_there_are_ratings_plays_them_all(release: Bundle) -> None:
    few = replace(release, ratings=latest(release, 12))
    assert historical_requests(few, 5, 1_000).requests.height == 12
