"""The recommender as plain Python: every formula, model and file format, independent of Dagster.

There is one package per stage, in the order in which a rating becomes a recommendation. A later stage may import an
earlier one, never the reverse; `lake`, `metrics` and the single modules know nothing of recommenders.
"""

STAGES = ("data", "feedback", "features", "retrieval", "ranking", "evaluation", "serving", "monitoring")
"""The stages in their order. The import contract and the asset groups repeat it, and a test compares them."""
