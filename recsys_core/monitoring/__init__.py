"""Stage 8, monitoring: is what is served computed as it was learned, and still like what was shown before?

`past` asks a release about the past, `served` is what was served, from there or from the event log. `replay` asks
again by the offline road and `parity` compares. `watch` chooses the two periods of a drift report, `examined` has the
rows of windows that examine models, `sample` says which rows belong to one user, `binning` and `reference` put the
earlier period into bins, `distances` are the effect sizes, `significance` the p-values, and `drift` the report.
"""
