"""What must hold of what is served."""

import dagster as dg

from recsys_assets.resources import LakeResource

BUDGET_MS = 50.0
"""For 99 of 100 answers. People take what comes within a tenth of a second for instant; half of it is the network's."""

N_TIMED = 220
"""Requests that are asked again for the timing: a second at most."""


@dg.asset_check(asset="past_requests")
def answers_take_less_than_their_budget(lake: LakeResource) -> dg.AssetCheckResult:
    """99 of 100 answers, with the rows that are logged of them, take less than 50 ms in one thread.

    It only warns: another process may have had the machine. Where there were too few requests, nobody knows, and it
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
            description=f"nothing was timed: of {len(asked)} past requests the first {WARM_UP} only warm up. "
            f"Set past_requests.max_requests above {WARM_UP}; each needs a rating",
        )
    p50, p95, p99 = np.percentile(taken, (50, 95, 99)).tolist()
    return dg.AssetCheckResult(
        passed=p99 <= BUDGET_MS,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "n_answers": len(taken), "budget_ms": BUDGET_MS},
    )


@dg.asset_check(asset="parity_report", blocking=True)
def online_features_equal_offline_ones(lake: LakeResource) -> dg.AssetCheckResult:
    """Of every logged request, the list and each value that the ranker read are what training would have computed.

    What ratings and clicks that had not arrived yet explain is counted as `n_late`, and is no fault.
    """
    from recsys_core.monitoring.parity import ParityReport

    report = ParityReport.load(lake.store.open("parity_report"))
    wrong = {"list_faults": report.list_faults(), "at_fault": report.at_fault()}
    found = {name: dg.MetadataValue.json(what) for name, what in wrong.items()}
    remedy = {} if report.is_clean() else {"remedy": "`recsys log set-aside REQUEST_ID`, if it is no answer of ours"}
    # In this order, since a refusal quotes the beginning.
    return dg.AssetCheckResult(passed=report.is_clean(), metadata={**remedy, **found, **report.headline()})


@dg.asset_check(asset="drift_report")
def features_are_like_those_of_the_period_before(lake: LakeResource) -> dg.AssetCheckResult:
    """No feature and no score has drifted beyond chance, and there were enough users to tell.

    It only warns: people change, and whether the models still serve them is for an evaluation to say.
    """
    from recsys_core.monitoring.drift_window import WindowDrift

    report = WindowDrift.load(lake.store.open("drift_report"))
    return dg.AssetCheckResult(
        passed=report.drift.is_judged and not report.drift.drifted(),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"verdict": report.verdict(), "drifted": dg.MetadataValue.json(report.drift.drifted())},
    )
