"""What is stored, when it is made, and what must hold of it: the recommender's artifacts as Dagster assets.

No logic lives here. Each asset reads its inputs from the lake, calls `recsys_core`, and publishes the result.
"""
