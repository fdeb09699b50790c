"""Stage 6, evaluation: held-out behaviour -> may this be shown to people?

One protocol for every model: the same users, the full catalogue, seen items removed, no user dropped from a mean.
"""
