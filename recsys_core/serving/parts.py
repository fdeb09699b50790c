"""What a bundle is read from; a module of its own, since reading one imports torch, faiss and xgboost."""

LOGS = ("base_ratings", "interaction_log_head")
"""They grow while a release answers."""

PARTS = ("movies", *LOGS, "item_features", "two_tower", "item_embeddings", "faiss_index", "ranker")
"""Assets, parents first."""
