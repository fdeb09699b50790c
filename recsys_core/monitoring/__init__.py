"""Stage 8, monitoring: served lists -> parity with the offline computation, and drift since an earlier period.

Parity: `served` holds answered requests and their slots, from the event log or asked of the past. `replay` answers
them again by the offline path, and `parity` compares. Drift: `drift_window` chooses the two periods, `clustered_sample`
holds their rows by user, `reference` bins the earlier period, `two_sample_tests` has effect sizes and p-values, and
`drift` is the report.
"""
