"""How often does each rule for drift raise an alarm without drift, and how often with it?

Usage:
    python -m benchmarks.drift

The users of the current artifacts are split at random into a reference and a window, so that nothing has drifted. Then
a declared shift is applied to the window. A user is a cluster. An alarm is any alarm of a report, in whatever column.

Nothing is trained, except for one answer: do a ranker's scores of its own training rows differ from those of other
users?
"""

import time
from pathlib import Path

import numpy as np
import polars as pl
from scipy.stats import binomtest, ks_2samp

from benchmarks.drift.scenarios import (
    CAUSES,
    N_PLACES,
    NOTHING,
    Requests,
    false_alarms,
    latest_questions,
    read_requests,
    scenarios,
)
from recsys_assets.resources import lake_root
from recsys_core.data.splits import Splits
from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.lake.store import Lake
from recsys_core.markdown import markdown_table
from recsys_core.monitoring.clustered_sample import ClusteredSample, scored_sample
from recsys_core.monitoring.config import DriftConfig
from recsys_core.monitoring.drift import drift_report
from recsys_core.monitoring.reference import Reference, make_reference
from recsys_core.monitoring.two_sample_tests import holm
from recsys_core.ranking.config import RankerConfig
from recsys_core.ranking.ranker import fit_ranker
from recsys_core.ranking.training_rows import RankingExamples
from recsys_core.seeding import child

Alarms = dict[str, bool]

SIZES = ((300, 100), (199, 400))
"""Users of the reference and of the window; the second pair uses all users."""

N_NULL, N_SHIFTED, N_RETURNING, N_FITS = 200, 60, 100, 3
CONFIG = DriftConfig(n_permutations=1239)
"""A quarter of the permutations of a real report, to save time: 0.05 / 31 columns is exactly 2 / (1 + 1,239)."""

OURS = "clusters permuted, Holm"
RULES = ("KS on rows", "KS on rows, Holm", "PSI > 0.1", "PSI > 0.2", OURS)


def alarms(reference: Reference, before: ClusteredSample, now: ClusteredSample) -> Alarms:
    """Whether each rule raises an alarm."""
    report = drift_report(reference, now, CONFIG)
    pairs = zip(before.values.T, now.values.T, strict=True)
    p_values = np.array(
        [ks_2samp(one[~np.isnan(one)], other[~np.isnan(other)], method="asymp").pvalue for one, other in pairs]
    )
    largest = report.columns["psi"].to_numpy().max()
    is_alarm = (
        p_values.min() <= 0.05,
        holm(p_values).min() <= 0.05,
        largest > 0.1,
        largest > 0.2,
        bool(report.drifted()),
    )
    return dict(zip(RULES, map(bool, is_alarm), strict=True))


def alarms_by_shift(requests: Requests, sizes: tuple[int, int], n_runs: dict[str, int]) -> dict[str, list[Alarms]]:
    """The alarms for many random splits of the users into reference and window, by the shift of the window.

    Args:
        requests: of all users.
        sizes: users of the reference, users of the window.
        n_runs: number of splits for each shift; all shifts share the first splits.
    """
    found: dict[str, list[Alarms]] = {cause: [] for cause in n_runs}
    for run in range(max(n_runs.values())):
        users = child(run, "benchmarks", "drift", str(sizes)).permutation(len(requests.features))
        before = requests.sample(requests.features[users[: sizes[0]]])
        reference = make_reference(before, DriftConfig())
        for cause in (one for one, n in n_runs.items() if run < n):
            moved = CAUSES[cause](requests, users[sizes[0] : sum(sizes)], child(run, "benchmarks", cause))
            found[cause].append(alarms(reference, before, requests.sample(moved)))
    return found


def share(found: list[bool]) -> str:
    """A share with its 95 % interval of Clopper and Pearson."""
    interval = binomtest(sum(found), len(found)).proportion_ci()
    return f"{np.mean(found):.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def table(requests: Requests) -> str:
    """Share of alarms: a row for each size and shift, a column for each rule."""
    rows = []
    for sizes in SIZES:
        n_runs = {cause: N_NULL if cause == NOTHING else N_SHIFTED for cause in CAUSES}
        for cause, found in alarms_by_shift(requests, sizes, n_runs).items():
            rows.append([f"{sizes[0]} / {sizes[1]}", cause, *(share([one[rule] for one in found]) for rule in RULES)])
    return markdown_table(["users", "window", *RULES], rows)


def returning(requests: Requests) -> str:
    """False alarms when users come back."""
    rows = []
    for reference, window, by_user, arrivals in scenarios(requests):
        found = false_alarms(requests, arrivals, CONFIG, by_user=by_user, n_runs=N_RETURNING)
        rows.append([reference, window, "user" if by_user else "user and day", share(found)])
    return markdown_table(["reference", "window", "cluster", "false alarms"], rows)


def own_training_rows(lake: Lake) -> str:
    """Drift of the score between users that a ranker was trained on and others, over a few random halves."""
    examples = RankingExamples.load(lake.open("ranking_examples"))
    asked = latest_questions(Splits.load(lake.open("splits")))
    rows = examples.rows.join(asked, on=["slice", "user_id"], how="semi", maintain_order="left")
    moment = int(rows["known_at"].to_numpy().max())
    found = []
    for run in range(N_FITS):
        users = rows["user_id"].unique().sort()  # by position, since ids may be of any size
        half = child(run, "benchmarks", "drift", "lessons").random(len(users)) < 0.5
        learned = rows["user_id"].is_in(users.filter(pl.Series(half)).implode())
        ranker = fit_ranker(rows.filter(learned), examples.feature_set, RankerConfig(), moment)
        shown = rows.with_columns(score=ranker.score(rows.select(FEATURE_NAMES).to_numpy()), learned=learned)
        shown = shown.sort("score", descending=True, maintain_order=True).group_by("user_id").head(N_PLACES)
        samples = [
            scored_sample(part.select(FEATURE_NAMES).to_numpy(), part["score"].to_numpy(), part["user_id"].to_numpy())
            for part in (shown.filter("learned"), shown.filter(~pl.col("learned")))
        ]
        report = drift_report(make_reference(samples[0], DriftConfig()), samples[1], DriftConfig())
        found.append((report.columns.row(-1, named=True), report.drifted()))
    return "\n".join(
        f"  score: ks {row['ks']:.3f}, p_holm {row['p_holm']:.3f}; drifted: {', '.join(drifted) or 'none'}"
        for row, drifted in found
    )


def seconds_of_a_report(requests: Requests) -> float:
    """Seconds of a report with the default settings on 500 and 500 clusters; some users occur twice."""
    users = child(0, "benchmarks", "drift", "time").integers(0, len(requests.features), 1000)
    before, now = (requests.sample(requests.features[some]) for some in (users[:500], users[500:]))
    reference = make_reference(before, DriftConfig())
    started = time.perf_counter()
    drift_report(reference, now, DriftConfig())
    return time.perf_counter() - started


def main(root: Path) -> None:
    """Print all answers."""
    started, cpu_started = time.perf_counter(), time.process_time()
    lake = Lake(root)
    requests = read_requests(lake)
    print(f"{len(requests.features)} users, {len(FEATURE_NAMES) + 1} columns; ", end="")
    print(f"{N_NULL} random splits without drift, ", end="")
    print(f"{N_SHIFTED} with each shift; share with any alarm [95 %]\n\n{table(requests)}\n")
    print(f"users who come back, {N_RETURNING} random splits without drift:\n\n{returning(requests)}\n")
    print(f"a ranker's own training rows beside other users, {N_FITS} random halves:\n{own_training_rows(lake)}\n")
    print(f"a report on 500 and 500 clusters: {seconds_of_a_report(requests):.2f} s; all: ", end="")
    print(f"{time.perf_counter() - started:.0f} s, {time.process_time() - cpu_started:.0f} s of CPU")


if __name__ == "__main__":
    main(lake_root())
