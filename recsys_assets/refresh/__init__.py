"""Bringing the lake up to date: plan what is stale, rebuild it, and keep Dagster's record in step with the lake.

`planner` judges what is out of date, `runner` rebuilds it wave after wave, `check_status` says which checks passed,
`reconcile` corrects Dagster's event log, and `dead_runs` fails the runs of processes that died. The jobs and sensors
that start a refresh from the UI are in `recsys_assets.automation`.
"""
