"""What does a request cost, stage by stage, and does serving compute the features as training does?

Usage:
    python -m benchmarks.parity [N]

The models of the lake answer past requests one at a time, as a service does: one request before each of the latest N
ratings, by default 2,000. Each stage of an answer is timed in CPU time of its thread, which depends less on other work
than the clock does. Then all requests are answered again in batches and compared bit for bit.

At the end, one block of features for 200 candidates is timed, for the users with the median and with the longest
history; its budget is half a millisecond. So is the scoring of that many rows by wall time, on one thread as in a
service, and on all.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from threadpoolctl import threadpool_limits

from recsys_assets.resources import lake_root
from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.features.state import RequestBatch, UserStates
from recsys_core.lake.store import Lake
from recsys_core.markdown import markdown_table
from recsys_core.monitoring.parity import parity_report
from recsys_core.monitoring.served import historical_requests
from recsys_core.ranking.inputs import CandidateGenerator
from recsys_core.ranking.ranker import Ranker
from recsys_core.retrieval.candidates import Retriever
from recsys_core.retrieval.model import user_vectors
from recsys_core.serving import recommender
from recsys_core.serving.bundle import Bundle, load_bundle
from recsys_core.serving.recommender import Recommender
from recsys_core.serving.user_state import UserStateStore

Times = dict[str, list[float]]
"""CPU milliseconds of each call, by stage."""

STAGES: dict[str, tuple[Any, str]] = {
    "state of the user": (UserStateStore, "state_before"),
    "user vector": (recommender, "user_vectors"),
    "candidates": (Retriever, "candidates"),
    "features of the candidates": (CandidateGenerator, "features"),
    "ranker": (Ranker, "score"),
    "whole answer": (Recommender, "answer"),
}
"""The function of each stage of an answer."""

BUDGET_MS = 0.5
N_CANDIDATES = 200
N_REPEATS = 300
N_REQUESTS = 2_000


@dataclass(frozen=True, kw_only=True)
class Block:
    """One block of features, timed."""

    history: str
    n_ratings: int
    n_candidates: int
    milliseconds: float  # median

    def __str__(self) -> str:
        kept = "within" if self.milliseconds <= BUDGET_MS else "beyond"
        size = f"{self.history} history ({self.n_ratings:,} ratings), {self.n_candidates} candidates"
        return f"{size}: {self.milliseconds:.3f} ms of CPU, {kept} the budget of {BUDGET_MS} ms"


@contextmanager
def timed_stages() -> Iterator[Times]:
    """A dictionary that fills with the times of every answer in the block."""
    times: Times = {stage: [] for stage in STAGES}
    with ExitStack() as stack:
        for stage, (owner, name) in STAGES.items():
            stack.enter_context(patch.object(owner, name, _timed(getattr(owner, name), times[stage])))
        yield times


def _timed(function: Callable[..., Any], milliseconds: list[float]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        started = time.thread_time()
        result = function(*args, **kwargs)
        milliseconds.append(1000 * (time.thread_time() - started))
        return result

    return run


def stage_table(times: Times) -> str:
    """Median and 95th percentile of each stage."""
    rows = [[stage, *(f"{np.quantile(found, share):.3f}" for share in (0.5, 0.95))] for stage, found in times.items()]
    return markdown_table(["CPU ms", "median", "p95"], rows)


def block_of(bundle: Bundle, history: str, state: UserStates) -> Block:
    """The time of one block of features for a user."""
    times: list[float] = []
    generator = bundle.generator
    vectors = user_vectors(generator.model, state.histories)
    asked_at = state.histories.timestamps[-1:] + 1
    item_idx = generator.retriever.candidates(vectors, state.histories, asked_at, N_CANDIDATES).item_idx
    requests = RequestBatch(users=state, requested_at=asked_at)
    run = _timed(generator.features, times)
    for _ in range(N_REPEATS):
        run(requests, vectors, item_idx)
    n_ratings, n_candidates = len(state.histories.item_idx), int((item_idx >= 0).sum())
    return Block(history=history, n_ratings=n_ratings, n_candidates=n_candidates, milliseconds=float(np.median(times)))


def blocks(bundle: Bundle) -> list[Block]:
    """For the users with the median and the longest history, after all known ratings."""
    served = Recommender(bundle=bundle)
    lengths = bundle.ratings.group_by("user_id").len().sort("len", "user_id")["user_id"]
    whom = {"median": int(lengths[len(lengths) // 2]), "longest": int(lengths[-1])}
    return [block_of(bundle, name, served.users.state_before(user, served.now)) for name, user in whom.items()]


def scoring(bundle: Bundle) -> str:
    """Wall time of scoring one request's rows, on one thread and on all threads, which may wait for each other."""
    rows = np.zeros((N_CANDIDATES, len(FEATURE_NAMES)), dtype=np.float32)
    found = []
    for n_threads in sorted({1, os.cpu_count() or 1}):
        bundle.ranker.booster.set_param({"nthread": n_threads})
        with threadpool_limits(limits=n_threads, user_api="openmp"):  # `recsys_assets` sets one
            times = [_wall_ms(lambda: bundle.ranker.score(rows)) for _ in range(N_REPEATS)]
        found.append(f"{np.median(times):.3f} ms (p95 {np.quantile(times, 0.95):.3f}) on {n_threads}")
    return f"ranker, {N_CANDIDATES} rows by wall time, median over {N_REPEATS}: {', '.join(found)} threads"


def _wall_ms(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return 1000 * (time.perf_counter() - started)


def main(root: Path, n: int) -> int:
    """Print everything; the exit status is 1 if a bit differs."""
    bundle = load_bundle(Lake(root))
    with timed_stages() as times:
        served = historical_requests(bundle, 10, n)
    print(stage_table(times))
    started = time.process_time()
    report = parity_report(served, bundle)
    per_request = 1000 * (time.process_time() - started) / max(served.requests.height, 1)
    print(f"\nreplay in batches: {per_request:.3f} CPU ms per request, including the item features of the release")
    print("parity: " + ", ".join(f"{name} {figure:,}" for name, figure in report.headline().items()))
    for column in report.at_fault():
        print(f"  differs: {column}")
    for fault in report.list_faults():
        print(f"  {fault}")
    print()
    for block in blocks(bundle):
        print(block)
    print(scoring(bundle))
    return 0 if report.is_clean() else 1


if __name__ == "__main__":
    sys.exit(main(lake_root(), int(sys.argv[1]) if len(sys.argv) > 1 else N_REQUESTS))
