"""Stage 6, evaluation: held-out behaviour -> metrics of every model, and the gates that ours must pass.

One protocol for every model: the same users, the full catalogue, seen items removed, no user dropped from a mean.
"""
