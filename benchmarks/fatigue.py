"""What do the feature and the rule of fatigue do to lists, as far as a played month can tell?

Usage:
    python -m benchmarks.fatigue

The lake must be one whose release does not know the month that its settings hold back, and whose log is empty:

    recsys --lake LAKE --settings recsys_assets/presets/demo.yaml run
    RECSYS_LAKE=LAKE RECSYS_SETTINGS=recsys_assets/presets/demo.yaml python -m benchmarks.fatigue

The month is played as `recsys log demo` does, once for each setting of `tired_after`; nothing is written. Ratings are
real and stay the same; clicks are made up from them, and look at places alone. So a row says how often movies come
again, and whether those that take their places were wanted; it cannot say that people tire.

The first table is of the whole month and of the release, which has never met a slot. The second is of the second half
of the month, and of rankers that learned from what the first half showed: with the feature, and with 0 in its place; by
the weight that such lessons have, and by a much greater one.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_assets.asset_specs import ASSET_SPECS
from recsys_assets.assets.data import BaseRatingsRun
from recsys_assets.assets.ranking import RankerRun
from recsys_assets.resources import lake_root
from recsys_core.data.ratings_table import read_holdback
from recsys_core.data.schemas import LIKED, RATINGS_COLUMNS
from recsys_core.data.splits import Splits
from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.feedback.labels import logged_clicks, logged_ratings, outcomes
from recsys_core.feedback.records import EVENTS_TABLE, IMPRESSIONS_TABLE, unpack_features
from recsys_core.lake.store import Lake
from recsys_core.markdown import markdown_table
from recsys_core.metrics.uncertainty import paired_difference
from recsys_core.ranking.config import ListRulesConfig, ShownConfig
from recsys_core.ranking.ranker import Ranker, fit_ranker
from recsys_core.ranking.training_rows import LoggedFeedback, RankingExamples, shown_rows
from recsys_core.retrieval.model import load_retrieval_model
from recsys_core.seeding import child
from recsys_core.serving.bundle import Bundle, load_bundle
from recsys_core.serving.demonstration import DemoLog, demo_log
from recsys_core.tables import read_table

K = 10
TIRED_AFTER = (None, 1, 2, 3, 5)
FEATURE = "pair_shown_unclicked"
OFTEN = 3

HEAVY = 10.0
"""The greatest `shown_weight` that there is."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Played:
    """Each answer of a played month in one row.

    Attributes:
        answers: user_id, then of its first ten places: again (shown before and left alone), often (at least three
            times), clicked, rated (by the user later in the month), liked.
    """

    answers: pl.DataFrame

    @classmethod
    def of(cls, log: DemoLog, held: pl.DataFrame) -> "Played":
        """What a log says of each answer.

        Args:
            log: the month.
            held: RATINGS of the month.
        """
        slots = IMPRESSIONS_TABLE.frame(log.impressions)
        counts = unpack_features(slots["features"].to_list())[:, FEATURE_NAMES.index(FEATURE)]
        clicks = EVENTS_TABLE.frame(log.events).filter(kind="click").unique("event_id")
        clicked = clicks.select("request_id", "item_id", clicked=pl.lit(1))
        later = held.select("user_id", "item_id", "rating", "timestamp")
        judged = slots.with_columns(n_shown=pl.Series(counts)).join(clicked, on=["request_id", "item_id"], how="left")
        judged = judged.join(later, on=["user_id", "item_id"], how="left")
        rated = (pl.col("timestamp") >= pl.col("requested_at")).fill_null(value=False)
        answers = judged.group_by("request_id", maintain_order=True).agg(
            pl.col("user_id").first(),
            again=(pl.col("n_shown") >= 1).mean(),
            often=(pl.col("n_shown") >= OFTEN).mean(),
            clicked=pl.col("clicked").count().cast(pl.Float64),
            rated=rated.sum().cast(pl.Float64),
            liked=(rated & (pl.col("rating") >= LIKED)).sum().cast(pl.Float64),
        )
        return cls(answers=answers)

    def mean(self, column: str) -> float:
        """Over all answers."""
        return float(self.answers[column].to_numpy().mean())

    def beside(self, plain: "Played", column: str) -> str:
        """The difference to the same requests answered otherwise, with its 95 % interval over users."""
        ours, theirs = (one.answers[column].to_numpy().astype(np.float64) for one in (self, plain))
        found = paired_difference(ours, theirs, child(17, "bootstrap"), clusters=self.answers["user_id"].to_numpy())
        return f"{found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def with_rules(ranker: Ranker, tired_after: int | None) -> Ranker:
    """The same ranker under the rule."""
    return replace(ranker, list_rules=ListRulesConfig(tired_after=tired_after))


def play(bundle: Bundle, ranker: Ranker, held: pl.DataFrame) -> DemoLog:
    """The month as a release with this ranker would have logged it; the other parts are the release's."""
    return demo_log(replace(bundle, ranker=ranker), held, k=K)


def lessons_of(log: DemoLog, bundle: Bundle, lake: Lake) -> RankingExamples:
    """The lake's examples with what a log showed.

    Args:
        log: a part of the month.
        bundle: the release, for its ratings and its ranker.
        lake: its examples, splits, towers.
    """
    days = {"all": EVENTS_TABLE.frame(log.events)}
    clicks, rated = logged_clicks(days), logged_ratings(days)
    judged = outcomes(IMPRESSIONS_TABLE.frame(log.impressions), clicks, rated)
    ratings = pl.concat([bundle.ratings.select(*RATINGS_COLUMNS), rated.select(*RATINGS_COLUMNS)])
    examples = RankingExamples.load(lake.open("ranking_examples"))
    items = read_table(lake.open("item_features") / "item_features.parquet")
    shown = shown_rows(
        LoggedFeedback(outcomes=judged, clicks=clicks),
        ratings,
        Splits.load(lake.open("splits")),
        items,
        lambda name: load_retrieval_model(lake.open("two_tower"), name),
        ShownConfig(n_candidates=bundle.ranker.n_candidates),
    )
    print(f"{shown['slice'].n_unique()} requests of {shown['user_id'].n_unique()} users teach, {shown.height} rows")
    return examples.with_shown(shown)


def taught_by(examples: RankingExamples, shown_weight: float, retrieval_weight: float, *, blotted_out: bool) -> Ranker:
    """A ranker that has learned from examples.

    Args:
        examples: of windows, and of what was shown.
        shown_weight: of the latter.
        retrieval_weight: of the score.
        blotted_out: whether the feature is 0 in all rows, as if it was not there.
    """
    rows, config = examples.rows, RankerRun().model_copy(update={"shown_weight": shown_weight})
    if blotted_out:
        rows = rows.with_columns(pl.lit(0.0, pl.Float32).alias(FEATURE))
    fitted = fit_ranker(rows, examples.feature_set, config, examples.known_until)
    return replace(fitted, retrieval_weight=retrieval_weight)


def table(named: Sequence[tuple[str, Played]]) -> str:
    """A row per setting; differences are to the first."""
    plain = named[0][1]
    header = ["lists", "shown before", f"{OFTEN} times and more", "clicks", "difference", "rated later", "liked later"]
    header.append("difference")
    return markdown_table(header, [_row(name, one, plain) for name, one in named])


def _row(name: str, one: Played, plain: Played) -> list[str]:
    is_plain = one is plain
    return [
        name,
        f"{one.mean('again'):.1%}",
        f"{one.mean('often'):.1%}",
        f"{one.mean('clicked'):.3f}",
        "" if is_plain else one.beside(plain, "clicked"),
        f"{one.mean('rated'):.3f}",
        f"{one.mean('liked'):.3f}",
        "" if is_plain else one.beside(plain, "liked"),
    ]


def _label(tired_after: int | None) -> str:
    return "no rule" if tired_after is None else f"tired after {tired_after}"


def whole_month(bundle: Bundle, held: pl.DataFrame) -> str:
    """The release under each setting of the rule."""
    return table([(_label(n), Played.of(play(bundle, with_rules(bundle.ranker, n), held), held)) for n in TIRED_AFTER])


def second_half(bundle: Bundle, lake: Lake, held: pl.DataFrame) -> str:
    """Rankers that learned from the first half, with the feature and without, with the rule and without."""
    middle = int(held["timestamp"].median())  # type: ignore[arg-type]  # never null
    first, second = held.filter(pl.col("timestamp") < middle), held.filter(pl.col("timestamp") >= middle)
    examples = lessons_of(play(bundle, bundle.ranker, first), bundle, lake)
    known = replace(bundle, ratings=pl.concat([bundle.ratings, first.select(bundle.ratings.columns)]))
    rows, gains = [], []
    for weight in (RankerRun().shown_weight, HEAVY):
        for name in ("without", "with"):
            one = taught_by(examples, weight, bundle.ranker.retrieval_weight, blotted_out=name == "without")
            for n in (None, OFTEN):
                label = f"{name} the feature, shown_weight {weight:g}, {_label(n)}"
                rows.append((label, Played.of(play(known, with_rules(one, n), second), second)))
        gain = one.importance()
        place = gain["feature"].to_list().index(FEATURE)
        gains.append(f"shown_weight {weight:g}: gain {gain['gain'][place]:.1f}, no. {place + 1} of {gain.height}")
    return "\n".join([table(rows), "", *gains])


def main(root: Path) -> int:
    """Print both tables; returns the exit status."""
    lake, bundle = Lake(root), load_bundle(Lake(root))
    held = read_holdback(str(ASSET_SPECS["raw_data"].parameters()["dataset"]), root / "raw", BaseRatingsRun())
    n_answers = len(play(bundle, bundle.ranker, held).requests)
    print(f"{n_answers:,} answers to {held['user_id'].n_unique()} users, {held.height:,} ratings\n")
    print(f"{whole_month(bundle, held)}\n")
    print(second_half(bundle, lake, held))
    return 0


if __name__ == "__main__":
    sys.exit(main(lake_root()))
