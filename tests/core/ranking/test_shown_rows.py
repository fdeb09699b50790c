"""Shown slots teach the ranker: scored again as of their request, and only where they teach an order."""

from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys_core.data.schemas import LIKED, RATINGS_COLUMNS
from recsys_core.data.splits import NOW, TEST
from recsys_core.features.registry import FEATURE_NAMES, feature_set_version
from recsys_core.features.schemas import EXAMPLE_KEYS, example_schema
from recsys_core.feedback.config import OutcomesConfig
from recsys_core.feedback.labels import outcomes
from recsys_core.feedback.records import pack_features
from recsys_core.feedback.schemas import CLICKS_COLUMNS, IMPRESSIONS_COLUMNS, LOGGED_COLUMNS, OUTCOMES_COLUMNS
from recsys_core.ranking.config import ShownConfig
from recsys_core.ranking.inputs import candidate_features, generate_candidates
from recsys_core.ranking.ranker import fit_ranker
from recsys_core.ranking.schemas import SHOWN, is_shown
from recsys_core.ranking.training_rows import LoggedFeedback, shown_rows
from recsys_core.retrieval.model import RetrievalModel
from tests.core.worlds import N_CANDIDATES, QUICK_RANKER, TinyRun

Slot = dict[str, Any]

CONFIG = ShownConfig(n_candidates=N_CANDIDATES)
DAY_S = 86_400


def moment_of(tiny: TinyRun) -> int:
    """A second within the slice that is asked."""
    return tiny.splits.fit_end(tiny.asked) + 100


def proposed(tiny: TinyRun, user_id: int, at: int, name: str) -> tuple[list[int], pl.DataFrame]:
    """What the retriever of a slice proposes a user at a moment, best first, and the features of these."""
    known = tiny.ratings.filter(pl.col("timestamp") < at, user_id=user_id)
    asked = pl.DataFrame({"user_id": [user_id], "requested_at": [at]})
    inputs = generate_candidates(tiny.generator(name), known, asked, n_candidates=N_CANDIDATES)
    ids = tiny.models[name].catalogue.item_ids[inputs.candidates.item_idx[0]].tolist()
    return ids, pl.DataFrame(candidate_features(inputs)[0], schema=list(FEATURE_NAMES), orient="row")


@pytest.fixture(scope="module")
def user(tiny: TinyRun) -> int:
    """Somebody with ratings before the moment."""
    return int(tiny.ratings.filter(pl.col("timestamp") < moment_of(tiny))["user_id"][-1])


@pytest.fixture(scope="module")
def offered(tiny: TinyRun, user: int) -> list[int]:
    """What the user is proposed at the moment, best first."""
    return proposed(tiny, user, moment_of(tiny), tiny.asked)[0]


def slots(tiny: TinyRun, user: int | None, items: list[int], labels: list[int], **changes: Any) -> list[Slot]:
    """A request that showed some items from the top, and what came of them."""
    at = changes.get("shown_at", moment_of(tiny))
    about = {
        "request_id": "r1",
        "user_id": user,
        "release": "v1",
        "policy": "greedy",
        "propensity": 1.0,
        "feature_set": feature_set_version(),
        "features": pack_features(np.zeros(len(FEATURE_NAMES), dtype=np.float32)),
        "feature_states": bytes(len(FEATURE_NAMES)),
        "shown_at": at,
        "settled_at": at + 7 * DAY_S,
        "event_id": None,
    }
    return [
        about | {"item_id": item, "position": place, "label": label} | changes
        for place, (item, label) in enumerate(zip(items, labels, strict=True), start=1)
    ]


def rows_of(tiny: TinyRun, *requests: list[Slot], config: ShownConfig = CONFIG) -> pl.DataFrame:
    table = pl.DataFrame([slot for request in requests for slot in request], schema=OUTCOMES_COLUMNS)
    return shown_rows(unclicked(table), tiny.ratings, tiny.splits, tiny.items, tiny.models.__getitem__, config)


def unclicked(table: pl.DataFrame) -> LoggedFeedback:
    """Slots whose labels came from ratings alone."""
    return LoggedFeedback(outcomes=table, clicks=pl.DataFrame(schema=CLICKS_COLUMNS))


def test_a_request_is_a_slice_of_its_own_whose_labels_are_known_when_they_are_settled(
    tiny: TinyRun, user: int, offered: list[int]
) -> None:
    rows = rows_of(tiny, slots(tiny, user, offered[:3], [0, 1, 0]))
    assert rows.columns == [*EXAMPLE_KEYS, *FEATURE_NAMES]
    settled = moment_of(tiny) + 7 * DAY_S
    assert rows.select(list(EXAMPLE_KEYS)).rows() == [
        (f"{SHOWN}r1", user, item, label, settled) for item, label in zip(offered[:3], [0, 1, 0], strict=True)
    ]
    assert rows.select(is_shown()).to_series().all()
    assert not tiny.examples.rows.select(is_shown()).to_series().any()
    example_schema().validate(rows)


def test_the_features_are_those_of_the_retriever_of_the_time_whatever_was_logged(
    tiny: TinyRun, user: int, offered: list[int]
) -> None:
    _, expected = proposed(tiny, user, moment_of(tiny), tiny.asked)
    logged = slots(tiny, user, [offered[4], offered[1]], [0, 1], feature_set="another", features=b"")
    rows = rows_of(tiny, logged)
    assert rows["item_id"].to_list() == [offered[1], offered[4]], "in the order of retrieval, not of what was shown"
    assert rows.select(FEATURE_NAMES).equals(expected[[1, 4]])


def test_the_tower_is_the_latest_that_was_fitted_before_the_request(tiny: TinyRun, user: int) -> None:
    """At its very first second a slice's tower answers, one second earlier the one before; `now` never does."""
    asked: list[str] = []

    def model_of(name: str) -> RetrievalModel:
        asked.append(name)
        return tiny.models[name]

    def model_at(moment: int) -> list[str]:
        asked.clear()
        table = pl.DataFrame(slots(tiny, user, [1, 2], [0, 1], shown_at=moment), schema=OUTCOMES_COLUMNS)
        shown_rows(unclicked(table), tiny.ratings, tiny.splits, tiny.items, model_of, CONFIG)
        return list(asked)

    names = [name for name in tiny.splits.names if name != NOW]
    assert model_at(tiny.splits.fit_end(names[0]) - 1) == []
    assert model_at(tiny.splits.fit_end(names[0])) == names[:1]
    for earlier, name in pairwise(names):
        assert model_at(tiny.splits.fit_end(name) - 1) == [earlier]
        assert model_at(tiny.splits.fit_end(name)) == [name]
    assert model_at(tiny.splits.last_until + 365 * DAY_S) == names[-1:]


def test_what_came_after_a_request_changes_none_of_its_features(tiny: TinyRun, user: int, offered: list[int]) -> None:
    """The user's later ratings, those of the shown items among them."""
    request = slots(tiny, user, offered[:3], [0, 1, 0])
    later = pl.DataFrame(
        [(user, item, LIKED, moment_of(tiny)) for item in offered], schema=RATINGS_COLUMNS, orient="row"
    )
    past = tiny.ratings.filter(pl.col("timestamp") < moment_of(tiny))
    logged = unclicked(pl.DataFrame(request, schema=OUTCOMES_COLUMNS))
    again = shown_rows(logged, pl.concat([past, later]), tiny.splits, tiny.items, tiny.models.__getitem__, CONFIG)
    assert again.equals(rows_of(tiny, request))


def test_what_was_shown_before_a_request_counts_until_it_is_clicked(
    tiny: TinyRun, user: int, offered: list[int]
) -> None:
    """Also slots that teach nothing themselves; not those of the same second or later, nor what a click answered."""
    at, shown = moment_of(tiny), offered[:3]
    earlier = [
        slots(tiny, user, shown[:2], [0, 0], request_id=f"e{ago}", shown_at=at - ago) for ago in (90, 60, 31 * DAY_S)
    ]
    later = [slots(tiny, user, shown, [0, 0, 0], request_id=f"l{after}", shown_at=at + after) for after in (0, 5)]
    table = pl.DataFrame(
        [slot for one in (*earlier, *later, slots(tiny, user, shown, [0, 1, 0])) for slot in one],
        schema=OUTCOMES_COLUMNS,
    )

    def counted(*clicks: tuple[int, int]) -> list[float]:
        rows = [(user, item, at - ago, None, f"c{n}", at + DAY_S) for n, (item, ago) in enumerate(clicks)]
        told = LoggedFeedback(outcomes=table, clicks=pl.DataFrame(rows, schema=CLICKS_COLUMNS, orient="row"))
        found = shown_rows(told, tiny.ratings, tiny.splits, tiny.items, tiny.models.__getitem__, CONFIG)
        assert found["slice"].unique().to_list() == [f"{SHOWN}r1"]
        return found["pair_shown_unclicked"].to_list()

    assert counted() == [2, 2, 0]
    assert counted((shown[0], 70)) == [1, 2, 0]
    assert counted((shown[0], 70), (shown[1], 1), (shown[2], 0)) == [1, 0, 0]
    assert counted((shown[0], 0), (shown[1], -5)) == [2, 2, 0], "a click that came later"


def test_in_the_windows_nothing_was_ever_shown(tiny: TinyRun) -> None:
    assert set(tiny.examples.rows["pair_shown_unclicked"]) == {0.0}


def test_slots_below_the_one_after_the_last_like_are_left_out(tiny: TinyRun, user: int, offered: list[int]) -> None:
    """The user need not have looked there; one below the like, a user did."""
    for labels, n_seen in (([1, 0, 0, 0, 0], 2), ([0, 1, 0, 1, 0], 5), ([0, 0, 0, 1, 0], 5), ([0, 1, 0, 0, 0], 3)):
        rows = rows_of(tiny, slots(tiny, user, offered[:5], labels))
        assert rows.select("item_id", "label").rows() == list(zip(offered[:n_seen], labels[:n_seen], strict=True))


@pytest.mark.parametrize("labels", [[0, 0, 0], [1, 1, 1], [1], [0]])
def test_a_request_without_an_order_is_left_out(
    tiny: TinyRun, user: int, offered: list[int], labels: list[int]
) -> None:
    left = rows_of(tiny, slots(tiny, user, offered[: len(labels)], labels))
    assert left.is_empty()
    assert left.schema == rows_of(tiny, slots(tiny, user, offered[:2], [0, 1])).schema


def test_an_order_that_rests_on_slots_nobody_looked_at_is_none(tiny: TinyRun, user: int, offered: list[int]) -> None:
    """Liked down to the last slot that may have been seen, or an item that the retriever does not propose."""
    assert rows_of(tiny, slots(tiny, user, [offered[0], 1], [1, 0])).is_empty()
    assert rows_of(tiny, slots(tiny, user, [1, offered[0]], [1, 0])).is_empty()


def test_a_request_of_nobody_we_know_is_left_out(tiny: TinyRun, user: int, offered: list[int]) -> None:
    known = slots(tiny, user, offered[:3], [0, 1, 0])
    unknown = slots(tiny, None, offered[:3], [0, 1, 0], request_id="r2")
    assert rows_of(tiny, known, unknown).equals(rows_of(tiny, known))


def test_an_item_that_is_no_candidate_of_the_time_is_left_out(tiny: TinyRun, user: int, offered: list[int]) -> None:
    """Neither what the user had rated by then, nor what is in no catalogue, nor what is proposed too far below."""
    seen = int(tiny.ratings.filter(pl.col("timestamp") < moment_of(tiny), user_id=user)["item_id"][0])
    rows = rows_of(tiny, slots(tiny, user, [offered[0], seen, 1, offered[2]], [0, 1, 1, 1]))
    assert rows["item_id"].to_list() == [offered[0], offered[2]]
    shorter = rows_of(tiny, slots(tiny, user, offered[:12], [0] * 11 + [1]), config=ShownConfig(n_candidates=11))
    assert shorter.is_empty()


def test_of_each_user_the_latest_requests_count(tiny: TinyRun, user: int, offered: list[int]) -> None:
    others = tiny.ratings.filter(pl.col("timestamp") < moment_of(tiny))["user_id"].unique().sort()
    other = next(one for one in others.to_list() if one != user)
    at = moment_of(tiny)
    requests = [
        slots(tiny, user, offered[:3], [0, 1, 0], request_id=f"r{n}", shown_at=at + n, settled_at=at + 10 * DAY_S)
        for n in range(5)
    ]
    theirs = proposed(tiny, other, at, tiny.asked)[0]
    requests.append(slots(tiny, other, theirs[:3], [1, 0, 0], request_id="other"))
    found = rows_of(tiny, *reversed(requests), config=CONFIG.model_copy(update={"most_shown_per_user": 2}))
    assert sorted(found["slice"].unique().to_list()) == [f"{SHOWN}other", f"{SHOWN}r3", f"{SHOWN}r4"]
    assert rows_of(tiny, *requests, config=CONFIG.model_copy(update={"most_shown_per_user": 0})).is_empty()


def test_an_item_shown_twice_is_one_row(tiny: TinyRun, user: int, offered: list[int]) -> None:
    rows = rows_of(tiny, slots(tiny, user, [offered[0], offered[1], offered[0]], [0, 1, 0]))
    assert rows["item_id"].to_list() == offered[:2]


def logged(tiny: TinyRun, user: int, items: list[int]) -> pl.DataFrame:
    """Impressions of one request at the moment."""
    rows = slots(tiny, user, items, [0] * len(items))
    shown = pl.DataFrame(rows, schema_overrides={"served_at": pl.Int64()}).with_columns(
        served_at=pl.lit(moment_of(tiny) * 1_000_000, pl.Int64)
    )
    missing = [name for name in IMPRESSIONS_COLUMNS if name not in shown.columns]
    return shown.with_columns(pl.lit(None, IMPRESSIONS_COLUMNS[name]).alias(name) for name in missing).select(
        pl.col(name).cast(dtype) for name, dtype in IMPRESSIONS_COLUMNS.items()
    )


def test_a_click_that_comes_later_changes_the_label_and_never_when_it_is_known(
    tiny: TinyRun, user: int, offered: list[int]
) -> None:
    """Within the time for an answer; a day is asked about again only when nothing of it can change."""
    answer_s = OutcomesConfig().answer_s
    impressions, ratings = logged(tiny, user, offered[:3]), pl.DataFrame(schema=LOGGED_COLUMNS)

    def labels(*clicked: tuple[int, int]) -> dict[int, int]:
        clicks = pl.DataFrame(
            [
                (user, item, moment_of(tiny) + after, "r1", f"e{n}", moment_of(tiny) + after)
                for n, (item, after) in enumerate(clicked)
            ],
            schema=CLICKS_COLUMNS,
            orient="row",
        )
        table = outcomes(impressions, clicks, ratings)
        told = LoggedFeedback(outcomes=table, clicks=clicks)
        rows = shown_rows(told, tiny.ratings, tiny.splits, tiny.items, tiny.models.__getitem__, CONFIG)
        assert set(rows["known_at"]) == {moment_of(tiny) + answer_s}
        return dict(rows.select("item_id", "label").iter_rows())

    first, second, third = offered[:3]
    assert labels((second, 60)) == {first: 0, second: 1, third: 0}
    assert labels((second, 60), (third, answer_s - 1)) == {first: 0, second: 1, third: 1}
    assert labels((second, 60), (third, answer_s)) == {first: 0, second: 1, third: 0}


def test_an_outcome_that_was_not_settled_before_a_window_does_not_teach_for_it(
    tiny: TinyRun, user: int, offered: list[int]
) -> None:
    start = tiny.splits.start_of(TEST)
    for settled_at, n_rows in ((start, 3), (start + 1, 0)):
        rows = rows_of(tiny, slots(tiny, user, offered[:3], [0, 1, 0], settled_at=settled_at))
        known = tiny.examples.with_shown(rows).known_before(tiny.examples.start_of(TEST))
        assert known.filter(is_shown()).height == n_rows
        assert known.filter(~is_shown()).equals(tiny.examples.known_before(start))


def test_with_nothing_shown_the_examples_are_as_they_were(tiny: TinyRun) -> None:
    none = rows_of(tiny)
    assert tiny.examples.with_shown(none).rows.equals(tiny.examples.rows)


@pytest.mark.slow
def test_the_ranker_learns_from_what_was_shown(tiny: TinyRun) -> None:
    """Of many users, what retrieval puts last was liked: a ranker that learns from that turns round."""
    at = tiny.splits.start_of(TEST)
    users = tiny.ratings.filter(pl.col("timestamp") < at)["user_id"].unique().sort().to_list()
    last_slice = [name for name in tiny.splits.names if tiny.splits.fit_end(name) <= at and name != NOW][-1]
    requests = []
    for number, user_id in enumerate(users):
        items = proposed(tiny, user_id, at, last_slice)[0]
        chosen = [item for item in items if item >= 0]
        labels = [int(place >= len(chosen) // 2) for place in range(len(chosen))]
        requests.append(slots(tiny, user_id, chosen, labels, request_id=f"r{number}", shown_at=at))
    rows = rows_of(tiny, *requests)
    assert rows["user_id"].n_unique() == len(users)
    heavy = QUICK_RANKER.model_copy(update={"shown_weight": 10.0})
    both = tiny.examples.with_shown(rows).rows
    taught = fit_ranker(both, tiny.examples.feature_set, heavy, tiny.splits.last_until)

    def favours_the_last(ranker: Any) -> float:
        scored = rows.with_columns(score=ranker.score(rows.select(FEATURE_NAMES).to_numpy()))
        return float(scored.select(pl.corr("score", "pair_retrieval_rank", method="spearman")).item())

    assert favours_the_last(taught) > 0.5
    plain = fit_ranker(tiny.examples.rows, tiny.examples.feature_set, heavy, tiny.splits.last_until)
    assert favours_the_last(plain) < 0
    assert taught.n_candidates == tiny.ranker.n_candidates
