"""What must be true of answers: how fast they come, whether they can be computed again, and whether they drift."""

import dagster as dg

from recsys_assets.resources import LakeResource

BUDGET_MS = 50.0
"""Limit for 99 of 100 answers. People perceive a tenth of a second as instant; the network takes half of it."""

N_TIMED = 220
"""Requests that are repeated for the timing; they take a second at most."""


@dg.asset_check(asset="past_requests")
def answers_take_less_than_their_budget(lake: LakeResource) -> dg.AssetCheckResult:
    """99 of 100 answers, including the rows that are logged for them, take less than 50 ms in one thread.

    The check only warns: another process may have used the machine at the same time. With too few requests to time, it
    warns as well.
    """
    import time

    import numpy as np

    from recsys_core.monitoring.served import Served
    from recsys_core.serving.bundle import load_bundle
    from recsys_core.serving.logging import WARM_UP, latencies_ms

    asked = Served.load(lake.store.open("past_requests")).last_asked(N_TIMED)
    taken = latencies_ms(load_bundle(lake.store), asked, time.perf_counter)
    if not len(taken):
        return dg.AssetCheckResult(
            passed=False,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"n_answers": 0, "budget_ms": BUDGET_MS},
            description=f"nothing was timed: the first {WARM_UP} of {len(asked)} past requests only warm up. "
            f"Set past_requests.max_requests above {WARM_UP}; each request needs a rating",
        )
    p50, p95, p99 = np.percentile(taken, (50, 95, 99)).tolist()
    return dg.AssetCheckResult(
        passed=p99 <= BUDGET_MS,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "n_answers": len(taken), "budget_ms": BUDGET_MS},
    )


@dg.asset_check(asset="parity_report", blocking=True)
def online_features_equal_offline_ones(lake: LakeResource) -> dg.AssetCheckResult:
    """Each logged answer can be computed again: the same list, and the same value of every feature as in training.

    Differences that are explained by ratings and clicks which had not arrived yet are counted as `n_late`; they are not
    faults.
    """
    from recsys_core.monitoring.parity import ParityReport

    report = ParityReport.load(lake.store.open("parity_report"))
    wrong = {"list_faults": report.list_faults(), "at_fault": report.at_fault()}
    found = {name: dg.MetadataValue.json(what) for name, what in wrong.items()}
    remedy = {} if report.is_clean() else {"remedy": "`recsys log set-aside REQUEST_ID`, if the answer is not ours"}
    # The remedy comes first, because an error message quotes only the beginning of the metadata.
    return dg.AssetCheckResult(passed=report.is_clean(), metadata={**remedy, **found, **report.headline()})


@dg.asset_check(asset="drift_report")
def features_are_like_those_of_the_period_before(lake: LakeResource) -> dg.AssetCheckResult:
    """No feature and no score has drifted beyond chance, and there were enough users to judge.

    The check only warns: users change, and whether the models still serve them well is for the evaluation to say.
    """
    from recsys_core.monitoring.drift_window import WindowDrift

    report = WindowDrift.load(lake.store.open("drift_report"))
    return dg.AssetCheckResult(
        passed=report.drift.is_judged and not report.drift.drifted(),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"verdict": report.verdict(), "drifted": dg.MetadataValue.json(report.drift.drifted())},
    )
