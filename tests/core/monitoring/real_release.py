"""A release on the shipped data, trained as briefly as can be: whether two ways agree does not depend on its quality.

Not to be judged: tower and ranker learn from the same ratings.
"""

import numpy as np
import polars as pl

from recsys_core.features.registry import FEATURE_NAMES, feature_set
from recsys_core.features.tables import item_features
from recsys_core.ranking.config import RankerConfig
from recsys_core.ranking.inputs import (
    CandidateGenerator,
    after_the_last,
    candidate_features,
    generate_candidates,
    generator_of,
)
from recsys_core.ranking.ranker import Ranker, fit_ranker
from recsys_core.retrieval.config import IndexConfig, TwoTowerConfig
from recsys_core.retrieval.index import build_index
from recsys_core.retrieval.model import embed_items
from recsys_core.retrieval.training import train_retrieval_model
from recsys_core.serving.bundle import Bundle
from tests.core import embedded

N_CANDIDATES = 50
N_TEACHERS = 200


def real_release() -> Bundle:
    """The latest tenth of the ratings, and one more, come after its cut-off."""
    ratings = embedded.ratings()
    cutoff = int(ratings["timestamp"].sort()[ratings.height * 9 // 10 - 1])
    items = item_features(ratings, embedded.movies(), cutoff)
    model = train_retrieval_model(ratings, items, cutoff, TwoTowerConfig(dim=16, n_epochs=1)).model
    embeddings = embed_items(model)
    generator = generator_of(model, items, build_index(embeddings.vectors, embeddings.item_ids, IndexConfig()))
    return Bundle(
        movies=embedded.movies(),
        ratings=ratings,
        generator=generator,
        ranker=_ranker(generator, ratings.filter(pl.col("timestamp") < cutoff)),
        versions={"ranker": "real"},
    )


def _ranker(generator: CandidateGenerator, ratings: pl.DataFrame) -> Ranker:
    """Of some users the first half is known, and what they like of the second is to be found."""
    own = ratings.filter(pl.col("user_id") <= N_TEACHERS)
    is_known = pl.int_range(pl.len()).over("user_id") < pl.len().over("user_id") // 2
    known, later = own.filter(is_known), own.filter(~is_known)
    inputs = generate_candidates(generator, known, after_the_last(known), n_candidates=N_CANDIDATES)
    shape = inputs.candidates.item_idx.shape
    shown = pl.DataFrame(
        {
            "slice": ["past"] * np.prod(shape),
            "user_id": np.repeat(inputs.users.user_ids, shape[1]),
            "item_id": generator.model.catalogue.item_ids[inputs.candidates.item_idx.ravel()],
        }
    )
    liked = later.filter(pl.col("rating") >= 4).select("user_id", "item_id", label=pl.lit(1))
    labels = shown.join(liked, on=["user_id", "item_id"], how="left", maintain_order="left").fill_null(0)
    features = candidate_features(inputs).reshape(-1, len(FEATURE_NAMES))
    moment = int(known["timestamp"].max()) + 1  # type: ignore[arg-type]  # never null
    rows = pl.concat(
        [labels.with_columns(known_at=moment), pl.DataFrame(features, schema=list(FEATURE_NAMES), orient="row")],
        how="horizontal",
    )
    return fit_ranker(rows, feature_set(), RankerConfig(n_rounds=20, n_threads=1), moment)
