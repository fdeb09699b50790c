"""Commands about one user: recommend, and user, which shows the ratings by which to judge a recommendation."""

import math
import time
from contextlib import closing
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

import typer
from rich.table import Column, Table

from recsys_assets.cli.console import Json, counted, errors, fixed_columns, out, plain, print_json
from recsys_core.days import moment

if TYPE_CHECKING:  # faiss and xgboost take seconds to import, too long for `--help`
    from recsys_core.serving.bundle import Bundle
    from recsys_core.serving.explanations import Recommendation
    from recsys_core.serving.recommender import Recommender
    from recsys_core.serving.requests import Answer

MAX_ID = 2**53 - 1
"""Equal to `recsys_core.data.schemas.MAX_ID`, whose import takes half a second, too long for `--help`."""

NO_USER_GIVEN = "name a user: --user ID, or --like ID once or more (`recsys data movies` finds ids), or both"

MIN_WIDTH_FOR_GENRES = 100
"""Columns of the terminal from which on a table has a column of genres."""


At = Annotated[
    datetime | None,
    typer.Option(
        formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d %H:%M:%S%z"],
        help="Time of the request, UTC unless it has an offset; the default is just after the last rating.",
    ),
]

Likes = Annotated[
    list[int] | None,
    typer.Option(
        min=0, max=MAX_ID, help="Id of a movie that the user likes, in addition to the ratings; may be repeated."
    ),
]


def recommend(
    *,
    user: Annotated[int | None, typer.Option(min=0, max=MAX_ID, help="Id of a user.")] = None,
    like: Likes = None,
    at: At = None,
    k: Annotated[int, typer.Option("-k", min=1, max=200, help="Number of movies.")] = 10,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show which features moved each movie to its place.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Recommend movies to one user, who may be new.

    The answer comes from the models that serve: towers, index, features and ranker. It is written into the event log.
    """
    if user is None and not like:
        raise typer.BadParameter(NO_USER_GIVEN)
    from recsys_assets.resources import lake_root
    from recsys_core.days import second_of
    from recsys_core.lake.store import Lake
    from recsys_core.serving.bundle import load_bundle
    from recsys_core.serving.explanations import describe
    from recsys_core.serving.recommender import Recommender
    from recsys_core.serving.requests import Request

    recommender = Recommender(bundle=load_bundle(Lake(lake_root())))
    requested_at = recommender.now if at is None else second_of(at)
    likes = recommender.somebody_who_likes(like, requested_at) if like else ()
    unread = [] if user is None else _read_exposures(recommender, user, requested_at)
    answer = recommender.answer(
        Request(request_id=uuid4().hex, user_id=user, history=likes, requested_at=requested_at, k=k)
    )
    places = describe(recommender.bundle, answer, recommender.reasons(answer))
    notes = [
        *(f"{why}; it is ignored" for why in recommender.unknown_movies(like or []).values()),
        *_limitations(answer, recommender.bundle),
        *unread,
        *_log_answer(answer, recommender.bundle.release),
    ]
    if as_json:
        print_json([_without_nan(asdict(one)) for one in places])
    else:
        _show_answer(places, explain=explain)
    _show_notes(notes)


def user(
    user_id: Annotated[int, typer.Argument(min=0, max=MAX_ID, help="Id of a user.")],
    *,
    n: Annotated[int, typer.Option("-n", min=1, help="Number of ratings to show.")] = 20,
    as_json: Json = False,
) -> None:
    """Show the ratings of a user, latest first, as of the last refresh; --json shows all of them."""
    from recsys_assets.resources import lake_root
    from recsys_core.lake.store import Lake
    from recsys_core.serving.explanations import rated_by
    from recsys_core.tables import read_table

    lake = Lake(lake_root())
    with lake.reading():
        ratings, movies = (read_table(lake.open(name) / f"{name}.parquet") for name in ("ratings", "movies"))
    rated = rated_by(ratings, movies, user_id)
    rows = [row | {"rated_at": moment(row["timestamp"])} for row in rated.iter_rows(named=True)]
    if as_json:
        print_json(rows)
        return
    out.print(f"{counted(len(rows), 'rating')}, {sum(rated['rating']) / len(rows):.2f} stars on average")
    table = Table(*fixed_columns("rated (UTC)", "stars"), "movie", *fixed_columns("id"), box=None)
    for row in rows[:n]:
        title = plain(_full_title(row["title"], row["year"]))
        table.add_row(row["rated_at"][:16].replace("T", " "), f"{row['rating']:g}", title, str(row["item_id"]))
    out.print(table)
    if len(rows) > n:
        out.print(f"... and {len(rows) - n} earlier ratings: -n shows more, --json all")


def _show_notes(notes: list[str]) -> None:
    for note in notes:
        errors.print(f"[yellow]note:[/] {plain(note)}", soft_wrap=True)


def _show_answer(answer: "list[Recommendation]", *, explain: bool) -> None:
    # In a narrow terminal titles and reasons wrap, but numbers do not; genres would leave them no room.
    with_genres = out.width >= MIN_WIDTH_FOR_GENRES
    figures = [Column(name, no_wrap=True) for name in ("id", "retrieved as")]
    chance = Column("liked later", justify="right", no_wrap=True)
    about = ["movie", *(["genres"] if with_genres else [])]
    table = Table(Column("", no_wrap=True), *about, *figures, chance, box=None)
    for one in answer:
        cells = [f"{plain(_full_title(one.title, one.year))}\n[dim]{plain(one.because)}[/]"]
        cells += [plain(", ".join(one.genres))] if with_genres else []
        place = f"no. {one.retrieval_rank}"
        table.add_row(str(one.rank), *cells, str(one.item_id), place, _percent(one.probability))
    out.print(table)
    if explain:
        _show_contributions(answer)


def _show_contributions(answer: "list[Recommendation]") -> None:
    """Printed below the table, where a line is as wide as it needs to be: a broken name or number is unreadable."""
    out.print(
        "\nThe three features that moved each score most, with their SHAP values: by how much a feature, at its value, "
        "moved the score. The base and the SHAP values of all features (--json) sum to the score. "
        "See docs/stages/ranking.md.",
        soft_wrap=True,
    )
    for one in answer:
        strongest = sorted(one.contributions.items(), key=lambda pair: -abs(pair[1]))[:3]
        out.print(
            f"\n{one.rank:>2}  {plain(_full_title(one.title, one.year))}: score {one.score:.2f}, base {one.base:.2f}",
            soft_wrap=True,
        )
        for name, moved in strongest:
            out.print(f"    {moved:+.2f} {name}: {one.features[name]:.3g}", soft_wrap=True)
        if one.moved_by:
            out.print(f"    no. {one.ranker_rank} by score, moved by the list rule of {one.moved_by}", soft_wrap=True)


def _full_title(title: str | None, year: int | None) -> str:
    return f"{title or '(no title)'}{f' ({year})' if year else ''}"


def _limitations(answer: "Answer", bundle: "Bundle") -> list[str]:
    """Notes on what limits the answer: too few candidates, an unknown user, or features that are too old."""
    found, n_candidates = [], bundle.ranker.n_candidates
    n_found = len(answer.item_ids)
    if n_found < answer.request.k:
        why = (
            f"the ranker orders only {n_candidates} candidates (ranking_examples.n_candidates)"
            if n_found >= n_candidates
            else "retrieval found no other movie that this user has not rated"
        )
        found.append(f"{n_found} movies, not {answer.request.k}: {why}")
    if not answer.n_known:
        found.append("nothing is known of this user at that time: these are the recommendations for a new user")
    stale = sorted(name for name, counts in answer.degraded.items() if "stale" in counts)
    if stale:
        found.append(
            f"stale features replaced by defaults: {', '.join(stale)}. The models have learned until "
            f"{moment(bundle.learned_until)}: ask for a time nearer to that (--at), or append newer ratings to the log "
            "and run `recsys refresh`"
        )
    return found


def _read_exposures(recommender: "Recommender", user_id: int, requested_at: int) -> list[str]:
    """Tell the recommender what the log says of a user, including today; returns why that failed, if it did.

    A failure does not prevent the answer.
    """
    from recsys_assets.assets.feedback import InteractionsRun
    from recsys_assets.resources import event_log, lake_root
    from recsys_core.errors import LogError
    from recsys_core.features.exposures import FATIGUE_S
    from recsys_core.feedback.exposures import exposed_so_far
    from recsys_core.serving.user_state import observations

    tolerance_s = InteractionsRun().future_tolerance_s
    try:
        with closing(event_log(lake_root())) as log:
            exposed = exposed_so_far(log, user_id, requested_at - FATIGUE_S, tolerance_s)
    except LogError as fault:
        return [f"the log cannot be read, so what this user was shown before is ignored: {fault}"]
    for whose, what in observations(exposed):
        recommender.observe(whose, what)
    return []


def _log_answer(answer: "Answer", release: str) -> list[str]:
    """Log what is shown; returns why that failed, if it did. A failure does not prevent the answer."""
    from recsys_assets.resources import event_log, lake_root
    from recsys_core.errors import LogError
    from recsys_core.serving.logging import impression_records, request_record

    served_at = time.time_ns() // 1_000
    try:
        with closing(event_log(lake_root())) as log:
            log.append(
                requests=[request_record(answer, release, served_at)],
                impressions=impression_records(answer, release, served_at),
            )
    except LogError as fault:
        return [f"this answer was not written to the event log: {fault}"]
    return []


def _percent(probability: float | None) -> str:
    """In whole percent: more digits would suggest more precision than the probabilities have."""
    return "-" if probability is None else f"{100 * probability:.0f} %"


def _without_nan(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer in which undefined features are null, since JSON has no NaN."""
    features = {name: None if math.isnan(value) else value for name, value in answer["features"].items()}
    return answer | {"features": features}
