"""Simple recommenders, tuned like our own: what the two-tower model must beat to be worth its keep.

Each model is a plain `fit_...` function and a small frozen scorer (see `scorer.Scorer`) that reads histories, so users
unknown to the fit are scored like all others. All are deterministic. `recommend` turns scores into lists, `tuning`
gives every model the same number of trials.
"""
