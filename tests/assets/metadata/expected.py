"""What the UI must show of each asset: written down a second time on purpose, so that what appears or goes is meant."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Shown:
    """Metadata of one asset beside what every asset has; `tables` names the artifact's tables, the main one first."""

    tables: tuple[str, ...] = ()
    has_lineage: bool = False
    numbers: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()


EVERY = ("duration_s", "dagster/size_bytes")
"""Numbers of every asset."""

TEXTS = ("version", "inputs", "parameters")

LEARNED = ("two_tower", "ranker", "eval_report")
"""Assets that say until when the models that serve have learned."""

READ = ("lines", "accepted", "rejected", "exact_repeats", "n_rows.rejected")
RATINGS = ("n_users", "n_items", "mean_rating", "like_share", "density")
GAPS = ("n_features", "n_slices", "missing_share")

EXPECTED = {
    "raw_data": Shown(tables=("raw_data",), numbers=("source_bytes",)),
    "movies": Shown(
        tables=("movies", "rejected"),
        numbers=(*READ, "years_set_aside", "without_title", "without_year", "without_genres"),
        pictures=("fates_of_lines",),
    ),
    "base_ratings": Shown(
        tables=("base_ratings", "rejected"),
        numbers=(*READ, *RATINGS, "replaced", "of_unknown_movies", "held_back"),
        pictures=("fates_of_lines",),
    ),
    "ratings": Shown(
        tables=("ratings", "every_rating"),
        has_lineage=True,
        numbers=(*RATINGS, "n_ratings", "n_logged"),
        pictures=("stars", "popularity"),
    ),
    "splits": Shown(
        tables=("targets", "users", "cutoffs"),
        has_lineage=True,
        numbers=("n_rows.users", "n_rows.cutoffs", "n_users.window_1_1", "n_users.test_1"),
    ),
    "interactions": Shown(
        tables=("interactions", "rejected"),
        numbers=("deliveries", "accepted", "rejected", "repeats", "late", "n_users", "n_rows.rejected"),
        pictures=("arrivals", "fates_of_lines"),
    ),
    "interaction_log_head": Shown(
        tables=("interaction_log_head", "clicks"),
        has_lineage=True,
        numbers=("n_days", "n_ratings", "n_clicks", "n_events", "n_users"),
        pictures=("arrivals",),
    ),
    "impression_outcomes": Shown(
        tables=("impression_outcomes",),
        has_lineage=True,
        numbers=("n_shown", "n_likes", "n_requests", "like_share"),
        pictures=("likes_by_position",),
    ),
    "implicit_feedback": Shown(
        tables=("implicit_feedback",), has_lineage=True, numbers=("n_clicks", "n_users", "total_weight")
    ),
    "item_features": Shown(tables=("item_features",), has_lineage=True, numbers=GAPS, pictures=("missing",)),
    "user_features": Shown(tables=("user_features",), has_lineage=True, numbers=GAPS, pictures=("missing",)),
    "two_tower": Shown(
        numbers=(
            "loss", "validation_recall@100", "best_validation_recall@100", "best_epoch", "n_items", "n_towers",
        ),
        pictures=("training",),
    ),
    "item_embeddings": Shown(
        numbers=("n_items", "n_dimensions", "mean_length", "largest_length"), pictures=("lengths",)
    ),
    "faiss_index": Shown(numbers=("n_items", "n_dimensions")),
    "retrieval_report": Shown(
        tables=("recall", "index_recall"),
        has_lineage=True,
        numbers=(
            "recall@10", "recall@100", "recall@500", "index_recall@100", "exact_search_p50_ms", "exact_search_p95_ms",
        ),
        pictures=("recall_by_k", "index_frontier"),
    ),
    "ranking_examples": Shown(
        tables=("rows", "n_targets", "cutoffs"),
        has_lineage=True,
        numbers=(*GAPS, "n_likes_found", "n_targets", "n_shown", "n_groups", "like_share"),
        pictures=("missing",),
    ),
    "ranker": Shown(
        numbers=(
            "n_rows", "n_candidates", "n_trees", "validation_ndcg@10", "best_validation_ndcg@10", "best_n_trees",
            "calibration_slope", "calibration_intercept",
        ),
        pictures=("learning",),
    ),
    "ranking_report": Shown(
        tables=("per_user", "importance", "forecasts", "reliability"),
        has_lineage=True,
        numbers=(
            "ndcg@10", "map@10", "retrieval_ndcg@10", "ndcg_gain", "ndcg_gain_low", "ndcg_gain_high", "base_rate",
            "calibration_error", "brier", "log_loss",
        ),
        pictures=("shap", "reliability"),
    ),
    "baselines": Shown(
        tables=("lists", "trials"),
        has_lineage=True,
        numbers=("n_trials", "development_ndcg@10.ease", "development_ndcg@10.popularity"),
        pictures=("tuning",),
    ),
    "eval_report": Shown(
        tables=(
            "summary", "comparison", "per_user", "funnel", "fates", "breadth", "user_slices", "item_slices",
        ),
        has_lineage=True,
        numbers=(
            "ndcg@10", "recall@10", "recall@100", "map@10", "hit@10", "lead_over_popularity", "coverage", "novelty",
            "share hit", "share missed by the towers", "share missed by the index",
        ),
        pictures=("ndcg_by_model", "ndcg_by_slice", "funnel_picture"),
    ),
    "past_requests": Shown(
        tables=("impressions", "requests"),
        has_lineage=True,
        numbers=("n_requests", "n_slots", "n_users", "missing_share", "stale_share"),
        pictures=("feature_states",),
    ),
    "parity_report": Shown(
        tables=("columns", "lists", "about"),
        has_lineage=True,
        numbers=(
            "n_requests", "n_slots", "n_absent", "n_wrong_lists", "n_late", "n_mismatches", "n_columns_at_fault",
            "n_compared",
        ),
    ),
    "drift_report": Shown(
        tables=("columns", "about", "periods", "compared"),
        numbers=("n_window_clusters", "n_users_seen", "largest_ks", "largest_psi"),
        pictures=("drift", "over_time"),
    ),
}  # fmt: skip
