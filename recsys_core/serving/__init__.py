"""Stage 7, serving: one request -> one answer, with a reason for each item."""

GROWING_PARTS = ("base_ratings", "interaction_log_head")
"""Parts of a bundle that grow while a release answers."""

PARTS = ("movies", *GROWING_PARTS, "item_features", "two_tower", "item_embeddings", "faiss_index", "ranker")
"""Assets that a bundle is read from, parents first. They are named here because importing `bundle` loads FAISS and
XGBoost."""
