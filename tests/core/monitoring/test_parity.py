"""What was read online is what training would have computed, and whatever differs in one bit is found and named."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from threadpoolctl import threadpool_limits

from recsys_core.arrays import Float32s
from recsys_core.data.ratings_table import every_rating
from recsys_core.data.schemas import MAX_ID, RATINGS_COLUMNS
from recsys_core.features import state
from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.feedback.records import pack_features
from recsys_core.feedback.schemas import CLICKS_COLUMNS
from recsys_core.monitoring import replay
from recsys_core.monitoring.clustered_sample import SCORE
from recsys_core.monitoring.parity import COLUMNS, LIST_FAULTS, N_SLOTS, ParityReport, parity_report
from recsys_core.monitoring.served import Served, historical_requests
from recsys_core.retrieval.ease import EaseFactors
from recsys_core.serving.bundle import Bundle
from recsys_core.serving.recommender import Recommender
from recsys_core.serving.requests import Clicked, Rated, Request
from recsys_core.serving.user_state import UserExposures, UserStateStore
from tests import tiny_world
from tests.core.monitoring.answers import served_to
from tests.core.monitoring.conftest import N_PLAYED
from tests.core.monitoring.real_release import real_release
from tests.core.monitoring.skews import OF_ITEMS, SKEWS, Skew
from tests.core.monitoring.wrong_lists import WRONG_LISTS, WrongList
from tests.core.tables_by_hand import shuffled
from tests.core.worlds import random_histories

STRANGER = 10**6
OTHER = 14
DAY = tiny_world.DAY


def edited(served: Served, change: Callable[[Float32s], None]) -> Served:
    """The same with other features in the log."""
    values = served.features().copy()
    change(values)
    packed = pl.Series([pack_features(row) for row in values], dtype=pl.Binary)
    return replace(served, impressions=served.impressions.with_columns(features=packed))


def about(report: ParityReport) -> dict[str, int]:
    found: dict[str, int] = report.about.row(0, named=True)
    return found


def row_of(report: ParityReport, column: str) -> dict[str, object]:
    return report.columns.row(by_predicate=pl.col("column") == column, named=True)


def test_of_the_past_nothing_differs_in_any_column_of_any_slot(release: Bundle, past: Served) -> None:
    report = parity_report(past, release)
    assert about(report) == {
        "n_requests": N_PLAYED, "n_slots": 10 * N_PLAYED, "n_absent": 0, "n_wrong_lists": 0, "n_late": 0,
        "n_of_other_releases": 0, "n_repeated": 0, "n_excluded": 0, "n_left_out": 0,
    }  # fmt: skip
    assert report.columns["column"].to_list() == [*FEATURE_NAMES, SCORE] == list(COLUMNS)
    assert report.columns["n_compared"].to_list() == [10 * N_PLAYED] * len(COLUMNS)
    assert report.columns["n_mismatches"].sum() == 0
    assert report.columns["request_id"].null_count() == len(COLUMNS)
    assert report.lists.rows() == [(fault, 0, None, None, None, None) for fault in LIST_FAULTS]
    assert report.is_clean()
    assert report.at_fault() == []
    assert report.list_faults() == []
    assert report.headline() == {**about(report), "n_mismatches": 0, "n_columns_at_fault": 0}


@pytest.mark.slow
def test_nothing_differs_in_what_came_after_the_models_were_fitted(behind: Bundle) -> None:
    """As a service answers between two refits: the models know nothing of what its users have done since."""
    n_since = behind.ratings.filter(pl.col("timestamp") >= behind.learned_until).height
    assert n_since > 150
    report = parity_report(historical_requests(behind, 10, n_since), behind)
    assert about(report)["n_requests"] == n_since
    assert report.is_clean()


@pytest.mark.slow
@pytest.mark.parametrize("name", SKEWS)
def test_a_skew_of_the_online_side_is_found_and_named_and_nothing_else_is(release: Bundle, name: str) -> None:
    skew: Skew = SKEWS[name]
    with pytest.MonkeyPatch.context() as patch:
        skew.inject(patch)
        served = historical_requests(release, 10, 80)
    report = parity_report(served, release)
    assert not report.is_clean()
    found = set(report.at_fault()) - {SCORE}
    assert skew.named <= found <= skew.touched
    assert not found & OF_ITEMS
    assert parity_report(historical_requests(release, 10, 80), release).is_clean(), "the fault is gone again"


@pytest.mark.slow
@pytest.mark.parametrize("name", WRONG_LISTS)
def test_a_wrong_list_is_found_and_said_to_be_what_it_is(release: Bundle, name: str) -> None:
    """Each of them served by the recommender itself, before each of eighty ratings."""
    fault: WrongList = WRONG_LISTS[name]
    with pytest.MonkeyPatch.context() as patch:
        fault.inject(patch)
        served = historical_requests(release, 10, 80)
    few = served_to(Recommender(bundle=release), [Request(request_id="good", requested_at=release.learned_until, k=3)])
    report = parity_report(served.and_also(few), release)
    assert not report.is_clean()
    found = report.lists.filter(pl.col("n_requests") > 0)
    assert set(found["fault"]) == fault.named
    assert found["n_requests"].max() == about(report)["n_wrong_lists"]
    assert about(report)["n_wrong_lists"] > 40
    assert "good" not in found["request_id"]
    assert len(report.list_faults()) == len(fault.named)
    assert parity_report(historical_requests(release, 10, 80), release).is_clean(), "the fault is gone again"


def test_a_wrong_list_is_told_in_words_with_its_first_example(release: Bundle, past: Served) -> None:
    asked = past.requests["request_id"].sort()[0]
    shown = past.impressions.filter(request_id=asked).sort("position")["item_id"]
    is_swapped = (pl.col("request_id") == asked) & pl.col("position").is_in([1, 2])
    position = pl.when(is_swapped).then(3 - pl.col("position")).otherwise("position")
    lost = past.requests["request_id"].sort()[-1]  # after which nobody asks to whom it could count as shown
    is_last = (pl.col("request_id") == lost) & (pl.col("position") == 10)
    impressions = past.impressions.with_columns(position=position).filter(~is_last)
    report = parity_report(replace(past, impressions=impressions), release)
    assert report.list_faults() == [
        f"number of slots: in 1 request, first {lost}: 9 logged, 10 replayed",
        f"another item at this place: in 1 request, first {asked} at position 1: "
        f"{shown[1]} logged, {shown[0]} replayed",
    ]
    assert about(report)["n_wrong_lists"] == 2
    assert report.at_fault() == []


def test_a_request_of_which_no_slot_was_logged_is_a_wrong_list(release: Bundle, past: Served) -> None:
    lost = past.requests["request_id"][7]
    report = parity_report(replace(past, impressions=past.impressions.filter(pl.col("request_id") != lost)), release)
    assert report.lists.filter(fault=N_SLOTS).rows() == [(N_SLOTS, 1, lost, None, "0", "10")]
    assert not report.is_clean()


def test_a_last_bit_of_a_score_that_float32_cannot_see_is_found(release: Bundle, past: Served) -> None:
    is_first = pl.int_range(pl.len()) == 0
    score = pl.when(is_first).then(pl.col("score") * (1 + 2**-52)).otherwise("score")
    report = parity_report(replace(past, impressions=past.impressions.with_columns(score=score)), release)
    assert report.at_fault() == []
    assert len(report.list_faults()) == about(report)["n_wrong_lists"] == 1


@dataclass(frozen=True, kw_only=True)
class Late:
    """A user rates, asks a minute later, and their rating is not known to the service until an hour after that."""

    release: Bundle  # knows all by now
    served: Served  # by one that did not know the rating
    logged: pl.DataFrame  # the rating, as it arrived

    def arrived(self, at: int) -> pl.DataFrame:
        """The same, arrived in another second."""
        return self.logged.with_columns(received_at=pl.lit(at, pl.Int64))


def late(release: Bundle, *, history: bool = False, again: bool = False) -> Late:
    """With a history that came with the request; with a rating of an item that the user had rated since the cut-off."""
    before = Recommender(bundle=release)
    at = before.now + 3_600
    user, rated = release.ratings.sort("timestamp").row(-1)[:2]
    known = release.ratings.filter(user_id=user)["item_id"].to_list()
    fresh = [int(item) for item in tiny_world.ITEM_IDS if item not in known]
    rating = pl.DataFrame([(user, rated if again else fresh[0], 0.5, at - 60)], schema=RATINGS_COLUMNS, orient="row")
    requests = [
        Request(
            request_id="late",
            requested_at=at,
            user_id=user,
            history=before.somebody_who_likes(fresh[1:2], at) if history else (),
        ),
        Request(request_id="other", requested_at=at, user_id=OTHER),
    ]
    return Late(
        release=replace(release, ratings=every_rating(release.ratings, rating)),
        served=served_to(before, requests),
        logged=rating.with_columns(received_at=pl.lit(at + 3_600, pl.Int64)),
    )


@pytest.mark.parametrize("history", [False, True])
@pytest.mark.parametrize("again", [False, True])
def test_a_rating_that_arrived_after_the_answer_is_no_fault_and_is_counted(
    release: Bundle, *, history: bool, again: bool
) -> None:
    case = late(release, history=history, again=again)
    assert not parity_report(case.served, case.release).is_clean(), "it is in the features"
    report = parity_report(case.served, case.release, case.logged)
    assert report.is_clean()
    assert about(report) == {
        "n_requests": 2, "n_slots": 20, "n_absent": 0, "n_wrong_lists": 0, "n_late": 1, "n_of_other_releases": 0,
        "n_repeated": 0, "n_excluded": 0, "n_left_out": 0,
    }  # fmt: skip
    assert set(report.columns["n_compared"]) == {10}


def test_a_rating_that_had_arrived_and_was_not_read_is_a_fault(release: Bundle) -> None:
    """To the second: what arrived in the second of the answer may have come before it or after."""
    case = late(release)
    served_at = case.served.requests["served_at"][0] // 1_000_000
    for arrived_at, n_late in ((served_at - 1, 0), (served_at, 1)):
        report = parity_report(case.served, case.release, case.arrived(arrived_at))
        assert about(report)["n_late"] == n_late
        assert report.is_clean() == bool(n_late)


def test_a_rating_that_the_data_set_holds_too_was_known_from_the_start(release: Bundle) -> None:
    case = late(release)
    twice = every_rating(case.release.ratings, case.logged.drop("received_at"))
    report = parity_report(case.served, replace(case.release, ratings=twice), case.logged)
    assert about(report)["n_late"] == 0
    assert not report.is_clean()


def test_a_late_rating_excuses_no_other_fault_of_its_request(release: Bundle) -> None:
    with pytest.MonkeyPatch.context() as patch:
        WRONG_LISTS["two neighbours swapped"].inject(patch)
        case = late(release)
    report = parity_report(case.served, case.release, case.logged)
    assert about(report)["n_late"] == 0
    assert about(report)["n_wrong_lists"] == 2


def test_a_late_rating_of_somebody_else_excuses_nothing(release: Bundle) -> None:
    case = late(release)
    others = case.logged.with_columns(user_id=pl.lit(OTHER, pl.Int64))
    ratings = every_rating(case.release.ratings, others.drop("received_at"))
    served = replace(case.served, requests=case.served.requests.filter(request_id="late"))
    report = parity_report(served, replace(case.release, ratings=ratings), others)
    assert about(report)["n_late"] == 0
    assert not report.is_clean()


def test_a_request_that_knew_what_the_log_says_came_late_is_clean(release: Bundle) -> None:
    """As where a service reads the stars itself and the log gets them later: what is known by now comes first."""
    case = late(release)
    served = served_to(Recommender(bundle=case.release), case.served.last_asked(2))
    report = parity_report(served, case.release, case.logged)
    assert report.is_clean()
    assert about(report)["n_late"] == 0


CLICK_IS_LATE = 3_600
"""Seconds after the second answer at which the click arrives."""


def clicked_between(release: Bundle, *, is_known: bool) -> tuple[Served, pl.DataFrame]:
    """Two answers a minute apart, a click on the first in between, whether the service knew it or not; CLICKS."""
    recommender = Recommender(bundle=release)
    at = recommender.now
    first, second = (Request(request_id=f"r{n}", requested_at=at + 60 * n, user_id=OTHER) for n in range(2))
    served = served_to(recommender, [first])
    item = served.impressions["item_id"][0]
    if is_known:
        recommender.observe(OTHER, Clicked(item_id=item, timestamp=at + 30))
    row = (OTHER, item, at + 30, "r0", "e", at + 60 + CLICK_IS_LATE)
    return served.and_also(served_to(recommender, [second])), pl.DataFrame([row], CLICKS_COLUMNS, orient="row")


def test_what_was_shown_is_counted_in_the_replay_and_a_click_resets_it(release: Bundle) -> None:
    served, clicks = clicked_between(release, is_known=True)
    counts = served.features()[:, FEATURE_NAMES.index("pair_shown_unclicked")].reshape(2, 10)
    assert counts[0].tolist() == [0] * 10
    assert sorted(counts[1].tolist()) == [0] + [1] * 9
    assert parity_report(served, release, clicks=clicks).is_clean()
    assert parity_report(served, release).at_fault() == ["pair_shown_unclicked"]


def test_a_click_that_arrived_after_the_answer_is_no_fault_and_is_counted(release: Bundle) -> None:
    served, clicks = clicked_between(release, is_known=False)
    report = parity_report(served, release, clicks=clicks)
    assert report.is_clean()
    assert about(report)["n_late"] == 1
    served_at = served.requests["requested_at"].max()
    for received_at, n_late in ((served_at - 1, 0), (served_at, 1)):
        arrived = clicks.with_columns(received_at=pl.lit(received_at, pl.Int64))
        assert about(parity_report(served, release, clicks=arrived))["n_late"] == n_late
    others = clicks.with_columns(user_id=pl.lit(OTHER + 1, pl.Int64))
    assert about(parity_report(served, release, clicks=others))["n_late"] == 0


def test_a_slot_that_was_shown_after_the_answer_is_no_fault(release: Bundle) -> None:
    """A request as of tomorrow is answered today: what is shown tonight is not known yet."""
    recommender = Recommender(bundle=release)
    at = recommender.now
    tomorrow = served_to(recommender, [Request(request_id="r", requested_at=at + 86_400, user_id=OTHER)])
    tomorrow = replace(tomorrow, requests=tomorrow.requests.with_columns(served_at=pl.lit(at * 1_000_000)))
    tonight = served_to(Recommender(bundle=release), [Request(request_id="t", requested_at=at + 60, user_id=OTHER)])
    report = parity_report(tomorrow.and_also(tonight), release)
    assert report.is_clean()
    assert about(report)["n_late"] == 1


def test_what_the_release_of_another_day_showed_counts_as_well(release: Bundle) -> None:
    served, clicks = clicked_between(release, is_known=True)
    is_first = pl.col("request_id") == "r0"
    other = pl.when(is_first).then(pl.lit("another")).otherwise("release").alias("release")
    mixed = Served(requests=served.requests.with_columns(other), impressions=served.impressions.with_columns(other))
    report = parity_report(mixed, release, clicks=clicks)
    assert about(report)["n_of_other_releases"] == 1
    assert about(report)["n_requests"] == 1
    assert report.is_clean()


def test_requests_of_the_past_know_nothing_of_the_log_and_the_log_nothing_of_them(release: Bundle) -> None:
    """Of the same users in the same hours."""
    past = historical_requests(release, 10, 40)
    asked = past.last_asked(40)
    again = [replace(one, request_id=f"log-{one.request_id}") for one in asked]
    served = served_to(Recommender(bundle=release), again)
    report = parity_report(served, release, past=past)
    assert report.is_clean()
    assert about(report)["n_requests"] == 80
    assert parity_report(served.and_also(past), release).at_fault() == ["pair_shown_unclicked"], "one world"
    assert parity_report(served, release, past=past.of_release("of nobody")).is_clean()


def test_a_value_of_the_item_snapshot_that_is_one_step_of_float32_too_high_is_found(release: Bundle) -> None:
    """Although replay and service are given the same snapshot: the replay counts the items again."""
    shown = historical_requests(release, 10, 80).impressions["item_id"].mode()[0]
    row, side = int(release.generator.model.catalogue.idx_of(np.array([shown]))[0]), release.generator.items
    column = FEATURE_NAMES.index("item_like_share")
    features = side.features.copy()
    features[row, column] = np.nextafter(features[row, column], np.float32(2))
    bundle = replace(release, generator=replace(release.generator, items=replace(side, features=features)))
    served = historical_requests(bundle, 10, 80)
    report = parity_report(served, bundle)
    assert set(report.at_fault()) - {SCORE} == {"item_like_share"}
    assert about(report)["n_absent"] == 0
    found = row_of(report, "item_like_share")
    assert found["n_mismatches"] == served.impressions.filter(item_id=shown).height > 0
    assert found["item_id"] == shown
    assert found["request_id"] == served.impressions.filter(item_id=shown).sort("request_id")["request_id"][0]
    assert found["logged"] == features[row, column] > found["replayed"]
    assert found["largest_difference"] == pytest.approx(features[row, column] - side.features[row, column])


def test_the_replay_asks_nothing_of_the_states_that_follow_people(
    release: Bundle, past: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("this belongs to the online path")

    online = [
        (UserStateStore, "state_before"),
        (UserStateStore, "observe"),
        (state, "with_rating"),
        (Recommender, "answer"),
    ]
    for owner, name in (*online, (UserExposures, "before"), (UserExposures, "observe_shown")):
        monkeypatch.setattr(owner, name, refuse)
    assert parity_report(past, release).is_clean()


def test_requests_with_histories_of_their_own_are_replayed_too(release: Bundle) -> None:
    """Of somebody unnamed, unknown or known; with items rated anew, twice, at once, too late, or of no catalogue."""
    recommender = Recommender(bundle=release)
    now, known = recommender.now, release.ratings.filter(user_id=11)["item_id"].to_list()
    fresh = [int(item) for item in tiny_world.ITEM_IDS if item not in known]

    def rated(item_id: int, rating: float, ago: int) -> Rated:
        return Rated(item_id=item_id, rating=rating, timestamp=now - ago)

    histories: list[tuple[Rated, ...]] = [
        (rated(fresh[0], 5.0, 1),),
        (rated(fresh[0], 5.0, 9), rated(fresh[1], 1.0, 9), rated(known[0], 0.5, 5), rated(known[1], 5.0, 5)),
        (rated(fresh[0], 5.0, 9), rated(fresh[0], 1.0, 9), rated(fresh[1], 1.0, 8), rated(fresh[1], 4.5, 3)),
        (rated(known[0], 5.0, 2_000 * DAY), rated(fresh[0], 4.0, 1_000 * DAY)),  # before what is known already
        (rated(fresh[0], 5.0, 0), rated(fresh[1], 5.0, -1)),  # not strictly before
        (rated(77, 5.0, 3), rated(fresh[2], 3.0, 3)),  # of no item that we know
        (),
    ]
    asked = [(user_id, history) for user_id in (11, 14, None, STRANGER) for history in histories]
    requests = [
        Request(request_id=f"r{n:02}", requested_at=now, user_id=user_id, history=history, k=10)
        for n, (user_id, history) in enumerate(asked)
    ]
    served = served_to(recommender, requests)
    report = parity_report(served, release)
    assert report.at_fault() == []
    assert about(report) == {
        "n_requests": len(asked), "n_slots": 10 * len(asked), "n_absent": 0, "n_wrong_lists": 0, "n_late": 0,
        "n_of_other_releases": 0, "n_repeated": 0, "n_excluded": 0, "n_left_out": 0,
    }  # fmt: skip
    without = served.requests.with_columns(history=pl.lit(None, pl.String))
    assert not parity_report(replace(served, requests=without), release).is_clean(), "the histories are read"


@pytest.mark.slow
def test_of_items_that_were_rated_again_the_rating_known_at_the_request_counts(behind: Bundle) -> None:
    """A fifth of the ratings since the cut-off are of items that their user had rated before; some twice at once."""
    since = behind.ratings.filter(pl.col("timestamp") >= behind.learned_until)
    before = behind.ratings.filter(pl.col("timestamp") < behind.learned_until)
    again = since.join(before, on="user_id").sample(60, seed=1)
    logged = again.select(
        "user_id",
        item_id="item_id_right",
        rating=(5.5 - pl.col("rating_right")).cast(pl.Float32),
        timestamp=pl.col("timestamp") + pl.int_range(pl.len()) % 3,
    )
    own = since.sample(40, seed=2).with_columns(rating=(5.5 - pl.col("rating")).cast(pl.Float32))
    ratings = every_rating(behind.ratings, pl.concat([logged, own]))
    assert ratings.height == behind.ratings.height + 100
    bundle, n_since = replace(behind, ratings=ratings), since.height + 100
    report = parity_report(historical_requests(bundle, 10, n_since), bundle)
    assert report.at_fault() == []
    assert report.is_clean()
    assert about(report)["n_requests"] == n_since


def test_of_two_requests_with_one_id_neither_is_compared_and_both_are_counted(release: Bundle, past: Served) -> None:
    """Nobody can tell whose slots are whose."""
    asked = past.requests["request_id"][5]
    again = past.requests.filter(request_id=asked).with_columns(pl.col("requested_at") + 60)
    slots = past.impressions.filter(request_id=asked).with_columns(item_id=pl.lit(77, pl.Int64))
    for also in (Served(requests=again, impressions=slots), Served(requests=again, impressions=slots.clear())):
        report = parity_report(past.and_also(also), release)
        assert about(report)["n_repeated"] == 2
        assert about(report)["n_requests"] == past.requests.height - 1
        assert about(report)["n_left_out"] == 10 + also.impressions.height
        assert report.is_clean()


def test_a_request_that_came_from_outside_is_no_fault_of_the_release(release: Bundle, past: Served) -> None:
    """Somebody imported a request with a slot that the release would never have shown."""
    asked, item = past.requests["request_id"][5], past.impressions["item_id"][0]
    forged = Served(
        requests=past.requests.filter(request_id=asked).with_columns(request_id=pl.lit("x")),
        impressions=past.impressions.filter(request_id=asked).with_columns(
            request_id=pl.lit("x"), item_id=pl.lit(int(item) + 10**6, pl.Int64)
        ),
    )
    assert not parity_report(past.and_also(forged), release).is_clean()
    report = parity_report(past.and_also(forged), release, excluded={"x"})
    assert report.is_clean()
    assert (about(report)["n_excluded"], about(report)["n_requests"]) == (1, past.requests.height)


def test_where_all_requests_have_one_id_nothing_is_proven(release: Bundle, past: Served) -> None:
    one = pl.lit("r", pl.String)
    same = Served(
        requests=past.requests.with_columns(request_id=one), impressions=past.impressions.with_columns(request_id=one)
    )
    assert not parity_report(same, release).is_clean()


def test_late_requests_read_stale_item_features_on_both_sides(release: Bundle) -> None:
    """Four years after the cut-off the declared age of item features has passed, and defaults stand in."""
    at = release.generator.model.fit_end + 1_462 * DAY
    requests = [Request(request_id=f"r{user}", requested_at=at, user_id=user, k=5) for user in (11, 14, STRANGER)]
    served = served_to(Recommender(bundle=release), requests)
    assert np.isnan(served.features()[:, FEATURE_NAMES.index("item_like_share")]).all()
    assert parity_report(served, release).is_clean()


def test_what_another_release_answered_is_counted_and_not_compared(release: Bundle, past: Served) -> None:
    newer = replace(release, versions={**release.versions, "ranker": "r2"})
    nobodys = edited(past, lambda values: values.fill(7))
    theirs = Served(
        requests=nobodys.requests.with_columns(release=pl.lit(newer.release)),
        impressions=nobodys.impressions.with_columns(release=pl.lit(newer.release)),
    )
    report = parity_report(past.and_also(theirs), release)
    assert about(report)["n_of_other_releases"] == past.requests.height
    assert about(report)["n_requests"] == past.requests.height
    assert report.is_clean()
    assert not parity_report(past.and_also(theirs), newer).is_clean()


def test_slots_of_a_request_that_another_release_answered_are_counted_and_misalign_nothing(
    release: Bundle, past: Served
) -> None:
    """Two writers used one id: the request that counts is the other's, ours are the slots."""
    asked = past.requests.sort("requested_at", "request_id")["request_id"][3]
    others = pl.when(pl.col("request_id") == asked).then(pl.lit("of another")).otherwise("release")
    report = parity_report(replace(past, requests=past.requests.with_columns(release=others)), release)
    assert report.is_clean()
    assert about(report) == {
        "n_requests": past.requests.height - 1, "n_slots": past.impressions.height - 10, "n_absent": 0,
        "n_wrong_lists": 0, "n_late": 0, "n_of_other_releases": 1, "n_repeated": 0, "n_excluded": 0, "n_left_out": 10,
    }  # fmt: skip


def test_slots_with_another_number_of_features_are_counted_and_break_nothing(release: Bundle, past: Served) -> None:
    """As an import may bring them: beside our own slots, under the name of our features."""
    odd = past.impressions.head(2).with_columns(
        position=pl.lit(99, pl.Int64),
        features=pl.Series([b"", bytes(8)]),
        feature_states=pl.Series([b"", bytes(2)]),
    )
    report = parity_report(replace(past, impressions=pl.concat([odd, past.impressions])), release)
    assert report.is_clean()
    assert (about(report)["n_slots"], about(report)["n_left_out"]) == (past.impressions.height, 2)


def test_the_greatest_of_all_user_ids_may_rate_and_ask(release: Bundle) -> None:
    greatest = MAX_ID
    since = release.ratings.filter(pl.col("timestamp") >= release.generator.model.fit_end)
    rating = since.head(1).with_columns(user_id=pl.lit(greatest, pl.Int64))
    bundle = replace(release, ratings=pl.concat([release.ratings, rating]).sort("timestamp", maintain_order=True))
    recommender = Recommender(bundle=bundle)
    history = recommender.somebody_who_likes([5_000, 5_007], recommender.now)
    asked: list[tuple[int | None, tuple[Rated, ...]]] = [(greatest, ()), (greatest, history), (None, history), (11, ())]
    requests = [
        Request(request_id=f"r{n}", requested_at=recommender.now, user_id=user_id, history=rated, k=5)
        for n, (user_id, rated) in enumerate(asked)
    ]
    report = parity_report(served_to(recommender, requests), bundle)
    assert report.is_clean()
    assert about(report)["n_requests"] == len(asked)


def test_ratings_that_came_since_change_no_answer_of_the_past(behind: Bundle) -> None:
    """Of the same second, of days later, by the same people and by others."""
    served, last = historical_requests(behind, 10, 100), pl.col("timestamp").max()
    later = behind.ratings.with_columns(pl.col("user_id") + 1, last)
    moved = behind.ratings.with_columns(pl.col("item_id") + 1, pl.col("timestamp") + 3_000 * DAY)
    grown = replace(
        behind,
        ratings=pl.concat([behind.ratings, later, moved]),
        versions={**behind.versions, "base_ratings": "b2"},
    )
    assert parity_report(served, grown).is_clean()


@pytest.mark.parametrize("item_id", [77, tiny_world.ITEM_IDS[0]])
def test_an_item_that_the_replay_does_not_propose_is_absent(release: Bundle, past: Served, item_id: int) -> None:
    """One of no catalogue; one that its user has rated."""
    asked = past.requests.filter(
        pl.col("user_id").is_in(release.ratings.filter(item_id=tiny_world.ITEM_IDS[0])["user_id"].implode())
    ).sort("requested_at")
    request_id = asked["request_id"][-1]
    is_ours = (pl.col("request_id") == request_id) & (pl.col("position") == 1)
    item = pl.when(is_ours).then(pl.lit(int(item_id))).otherwise("item_id")
    report = parity_report(replace(past, impressions=past.impressions.with_columns(item_id=item)), release)
    assert about(report)["n_absent"] == 1
    assert report.at_fault() == []
    assert not report.is_clean()


def test_an_unknown_item_beside_places_without_a_candidate_is_absent(release: Bundle) -> None:
    """Whoever has rated nearly everything has fewer candidates than there are places, and neither has a number."""
    recommender = Recommender(bundle=release)
    items = release.generator.model.catalogue.item_ids[:-3].tolist()
    history = recommender.somebody_who_likes(items, recommender.now)
    served = served_to(recommender, [Request(request_id="r", requested_at=recommender.now, history=history)])
    assert served.impressions.height == 3
    assert parity_report(served, release).is_clean()
    foreign = served.impressions.with_columns(item_id=pl.lit(77, pl.Int64))
    assert about(parity_report(replace(served, impressions=foreign), release))["n_absent"] == 3


def test_where_nothing_was_served_nothing_is_proven(release: Bundle, past: Served) -> None:
    nothing = past.of_release("of nobody")
    report = parity_report(nothing, release)
    assert set(about(report).values()) == {0}
    assert report.columns["n_compared"].to_list() == [0] * len(COLUMNS)
    assert report.at_fault() == []
    assert not report.is_clean()


def test_a_value_that_is_missing_on_one_side_differs_and_on_both_does_not(release: Bundle, past: Served) -> None:
    column = FEATURE_NAMES.index("item_age_years")
    values = past.features()[:, column]
    assert np.isnan(values).any(), "some movies have no year"

    def lose(values: Float32s) -> None:
        values[:, column] = np.nan

    found = row_of(parity_report(edited(past, lose), release), "item_age_years")
    assert found["n_mismatches"] == int((~np.isnan(values)).sum())
    assert np.isnan(float(str(found["largest_difference"])))
    assert np.isnan(float(str(found["logged"])))


def test_another_pattern_of_bits_for_missing_is_missing_all_the_same(release: Bundle, past: Served) -> None:
    def mark(values: Float32s) -> None:
        values.view(np.uint32)[np.isnan(values)] = 0xFFC00001

    assert parity_report(edited(past, mark), release).is_clean()


def test_a_nought_with_a_sign_is_another_number(release: Bundle, past: Served) -> None:
    """It may go another way through a quotient, and shows that something was computed otherwise."""

    def sign(values: Float32s) -> None:
        values[values == 0] = np.float32(-0.0)

    report = parity_report(edited(past, sign), release)
    assert report.at_fault()
    assert set(report.columns["largest_difference"].to_list()) == {0.0}


def test_the_columns_at_fault_come_in_the_order_of_how_often(release: Bundle, past: Served) -> None:
    first, second, third = (
        FEATURE_NAMES.index(name) for name in ("context_hour", "user_n_ratings", "pair_trend_score")
    )

    def harm(values: Float32s) -> None:
        values[:1, first] += 1
        values[:3, second] += 1
        values[:2, third] += 1

    report = parity_report(edited(past, harm), release)
    assert report.at_fault() == ["user_n_ratings", "pair_trend_score", "context_hour"]
    assert report.headline()["n_mismatches"] == 6
    assert report.headline()["n_columns_at_fault"] == 3
    assert row_of(report, "context_hour")["largest_difference"] == 1


def test_neither_the_order_of_the_rows_nor_the_size_of_a_batch_matters(
    release: Bundle, past: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def harm(values: Float32s) -> None:
        values[::7, 3] += 1

    harmed = edited(past, harm)
    expected = parity_report(harmed, release)
    monkeypatch.setattr(replay, "REQUESTS_PER_BATCH", 7)
    mixed = Served(requests=shuffled(harmed.requests), impressions=shuffled(harmed.impressions))
    found = parity_report(mixed, release)
    assert found.columns.equals(expected.columns)
    assert found.lists.equals(expected.lists)
    assert found.about.equals(expected.about)


def test_a_report_survives_the_disk(release: Bundle, past: Served, tmp_path: Path) -> None:
    report = parity_report(edited(past, lambda values: values.__iadd__(1)), release)
    report.save(tmp_path)
    again = ParityReport.load(tmp_path)
    assert again.columns.equals(report.columns)
    assert again.lists.equals(report.lists)
    assert again.about.equals(report.about)
    assert again.headline() == report.headline()


def test_the_number_of_threads_changes_no_bit_of_a_user() -> None:
    """A service with one thread and a replay with two: a sum by another number of threads has another order."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(0, 0.01, size=(9_000, 96)).astype(np.float32)
    gains = rng.uniform(0, 1, 96).astype(np.float32)
    users, encoded = random_histories(0, n_users=20, n_items=9_000), []
    for n_threads in (1, 2):
        with threadpool_limits(limits=n_threads, user_api="blas"):
            ease = EaseFactors(history_factors=vectors, gains=gains, recency_power=0.5)
            encoded.append(ease.encode_users(users))
    assert np.array_equal(*encoded)


@pytest.mark.slow
def test_of_ten_thousand_requests_of_real_people_nothing_differs() -> None:
    """Bursts in one second, new users, forgotten items: every rating since the cut-off, on the shipped data."""
    release = real_release()
    n_since = release.ratings.filter(pl.col("timestamp") >= release.learned_until).height
    served = historical_requests(release, 10, n_since)
    report = parity_report(served, release)
    assert about(report)["n_requests"] >= 10_000
    assert about(report)["n_slots"] == 10 * about(report)["n_requests"]
    assert np.isnan(served.features()).any(axis=0).sum() > 10, "much is missing of those who are new"
    assert report.headline()["n_mismatches"] == 0
    assert report.is_clean()
