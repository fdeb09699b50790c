"""Simple recommenders, tuned like ours: the two-tower model must beat them to be worth its cost.

Each model is a plain `fit_...` function and a small frozen scorer (see `scorer.Scorer`) that reads histories, so users
unknown to the fit are scored like all others. All are deterministic. `tuning` gives every model the same number of
trials, and makes its lists for the questions of every window.
"""
