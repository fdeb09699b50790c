"""A played log: what is real in it is what was held back, the rest is fit to be logged and judged."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from recsys_core.data.ratings_table import merge_ratings
from recsys_core.data.schemas import RATINGS_COLUMNS
from recsys_core.errors import DataError
from recsys_core.feedback.deduplication import rows_until
from recsys_core.feedback.interactions import read_day, versions_of_days
from recsys_core.feedback.labels import logged_clicks, logged_ratings, outcomes
from recsys_core.feedback.records import DAY_S, IMPRESSIONS_TABLE, Event
from recsys_core.feedback.sqlite_log import SqliteLog
from recsys_core.monitoring.parity import parity_report
from recsys_core.monitoring.served import served_until
from recsys_core.serving.bundle import Bundle
from recsys_core.serving.demonstration import ASKED_BEFORE_S, RATED_PER_ANSWER, SESSION_GAP_S, DemoLog, demo_log
from tests.core.worlds import TinyRun

FOREVER = "2999-01-01"


@pytest.fixture(scope="module")
def held(tiny: TinyRun) -> pl.DataFrame:
    """The last ratings of the tiny world."""
    return tiny.ratings.sort("timestamp").tail(150)


@pytest.fixture(scope="module")
def release(bundle: Bundle, held: pl.DataFrame) -> Bundle:
    """One that knows nothing of them."""
    return replace(bundle, ratings=bundle.ratings.join(held, on=["user_id", "item_id"], how="anti"))


@pytest.fixture(scope="module")
def played(release: Bundle, held: pl.DataFrame) -> DemoLog:
    return demo_log(release, held, k=5)


def ratings_in(log: DemoLog) -> dict[str, Event]:
    """By id, as they arrived first."""
    return {one.event_id: one for one in reversed(log.events) if one.kind == "rating"}


def test_every_rating_that_was_held_back_is_logged_as_it_was_given(played: DemoLog, held: pl.DataFrame) -> None:
    rows = [(one.user_id, one.item_id, one.value, one.timestamp) for one in ratings_in(played).values()]
    assert (
        pl.DataFrame(rows, schema=RATINGS_COLUMNS, orient="row")
        .sort(*RATINGS_COLUMNS)
        .equals(held.select(*RATINGS_COLUMNS).sort(*RATINGS_COLUMNS))
    )


def test_with_the_log_the_ratings_are_those_of_the_whole_data_set(
    tiny: TinyRun, release: Bundle, played: DemoLog, tmp_path: Path
) -> None:
    with SqliteLog(tmp_path) as log:
        log.append(requests=played.requests, impressions=played.impressions, events=played.events)
        days = {day: read_day(log, day).interactions for day in versions_of_days(log)}
    merged = merge_ratings(release.ratings, logged_ratings(days))
    assert merged.drop("event_id").equals(tiny.ratings.sort("timestamp", "user_id", "item_id"))


def test_everybody_asks_before_they_rate_and_again_within_a_long_sitting(played: DemoLog, held: pl.DataFrame) -> None:
    asked = {(one.user_id, one.requested_at) for one in played.requests}
    for (user_id,), own in held.sort("timestamp", "item_id").group_by("user_id", maintain_order=True):
        last, n_rated = -(10**12), 0
        for at in own["timestamp"]:
            n_rated = 0 if at - last > SESSION_GAP_S else n_rated + 1
            if n_rated % RATED_PER_ANSWER == 0:
                assert (user_id, at - ASKED_BEFORE_S) in asked
            last = at
    assert len(played.impressions) == 5 * len(played.requests)


def test_an_event_names_the_request_that_showed_its_item(played: DemoLog) -> None:
    shown = {(one.request_id, one.item_id) for one in played.impressions}
    clicks = [one for one in played.events if one.kind == "click"]
    assert clicks
    assert {(one.request_id, one.item_id) for one in clicks} <= shown
    assert {(one.request_id, one.item_id) for one in ratings_in(played).values() if one.request_id} <= shown
    times = {one.request_id: one.requested_at for one in played.requests}
    assert all(one.timestamp > times[one.request_id or ""] for one in clicks)


def test_people_mostly_click_what_they_rate_later_and_what_stands_above(release: Bundle, held: pl.DataFrame) -> None:
    """Over several seeds: of the slots of items that were rated later a larger share is clicked, and of high places."""
    later = set(held.select("user_id", "item_id").iter_rows())
    shown, clicked = Counter[tuple[str, int]](), Counter[tuple[str, int]]()
    for seed in range(5):
        log = demo_log(release, held, seed=seed)
        hits = {(one.request_id, one.item_id) for one in log.events if one.kind == "click"}
        for one in log.impressions:
            key = ("wanted" if (one.user_id, one.item_id) in later else "other", one.position)
            shown[key] += 1
            clicked[key] += (one.request_id, one.item_id) in hits

    def share(what: str, places: range) -> float:
        return sum(clicked[what, place] for place in places) / sum(shown[what, place] for place in places)

    assert share("wanted", range(1, 11)) > 5 * share("other", range(1, 11))
    assert share("wanted", range(1, 4)) > share("wanted", range(4, 11))


def test_a_little_arrives_late_and_a_little_twice(played: DemoLog) -> None:
    late = [one for one in played.events if one.received_at - one.timestamp >= DAY_S]
    assert 0 < len(late) < len(played.events) / 5
    times = Counter(one.event_id for one in played.events)
    assert set(times.values()) == {1, 2}
    arrivals = [one.received_at for one in played.events]
    assert arrivals == sorted(arrivals)


def test_the_same_seed_plays_the_same_log_and_another_another(
    release: Bundle, held: pl.DataFrame, played: DemoLog
) -> None:
    assert demo_log(release, held, k=5) == played
    assert demo_log(release, held, k=5, seed=18) != played


def test_the_answers_of_two_releases_mix_in_no_request_and_every_rating_counts_once(
    release: Bundle, held: pl.DataFrame, played: DemoLog, tmp_path: Path
) -> None:
    newer = replace(release, versions={**release.versions, "ranker": "r2"})
    with SqliteLog(tmp_path) as log:
        for one in (played, demo_log(newer, held, k=3)):
            log.append(requests=one.requests, impressions=one.impressions, events=one.events)
        days = {day: read_day(log, day).interactions for day in versions_of_days(log)}
        served = served_until(log, FOREVER)
    both = served.impressions.join(served.requests, on="request_id", suffix="_of_request")
    assert both["release"].equals(both["release_of_request"])
    assert served.requests.group_by("release").len().sort("release")["len"].to_list() == [len(played.requests)] * 2
    assert served.impressions.height == (5 + 3) * len(played.requests)
    assert logged_ratings(days).height == held.height


def test_what_was_played_replays_clean_and_can_be_judged(release: Bundle, played: DemoLog, tmp_path: Path) -> None:
    with SqliteLog(tmp_path) as log:
        log.append(requests=played.requests, impressions=played.impressions, events=played.events)
        days = {day: read_day(log, day).interactions for day in versions_of_days(log)}
        served = served_until(log, FOREVER)
        shown = rows_until(log, IMPRESSIONS_TABLE, FOREVER)
    logged = logged_ratings(days)
    known = replace(release, ratings=merge_ratings(release.ratings, logged).drop("event_id"))
    assert parity_report(served, known, clicks=logged_clicks(days)).is_clean()
    judged = outcomes(shown, logged_clicks(days), logged)
    assert 0 < judged["label"].sum() < judged.height


def test_a_release_that_knows_the_ratings_is_refused(bundle: Bundle, held: pl.DataFrame) -> None:
    with pytest.raises(DataError, match=r"the release knows 150 of the 150 ratings that are to be replayed"):
        demo_log(bundle, held)
