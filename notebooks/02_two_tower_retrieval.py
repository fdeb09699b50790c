# ruff: noqa: D100  # the first cell says what this is
# %% [markdown]
# # 02 What do two towers learn?
#
# One tower turns a user's history into a vector, the other turns a movie into a vector; the movies with the highest dot
# product are the best. The retrieval model adds the scores of two more parts with vectors of their own: EASE, a linear
# model with a closed-form solution, and the trend. This notebook fits the model on the ratings before the last
# development window and looks inside.
#
# Run it as a plain script, or open it as a notebook with Jupytext. It shows its pictures if there is a screen, and
# saves them into `pictures/` of the lake. It takes about ten seconds of CPU.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch

from recsys_assets.resources import PROJECT, lake_root
from recsys_core.data.config import SplitsConfig
from recsys_core.data.histories import AGE_LIMITS, histories_of
from recsys_core.data.movielens.reading import read_dataset
from recsys_core.data.movielens.sources import EMBEDDED, locate
from recsys_core.data.schemas import RATING_STEPS
from recsys_core.data.splits import fit_ratings, make_splits, relevant_items
from recsys_core.evaluation.baselines.config import BaselinesConfig
from recsys_core.evaluation.baselines.popularity import fit_popularity
from recsys_core.evaluation.baselines.scorer import recommend
from recsys_core.evaluation.protocols import FROZEN, EvaluationQuestions
from recsys_core.features.tables import item_features
from recsys_core.metrics.ranked_lists import hits_of
from recsys_core.metrics.ranking import recall_at_k
from recsys_core.retrieval.candidates import find_candidates
from recsys_core.retrieval.config import TwoTowerConfig
from recsys_core.retrieval.index import ExactSearch
from recsys_core.retrieval.model import item_vectors, user_vectors, vector_layout
from recsys_core.retrieval.training import train_retrieval_model

pictures = lake_root() / "pictures"
pictures.mkdir(parents=True, exist_ok=True)
data = read_dataset(locate(EMBEDDED, PROJECT / "data_lake" / "raw"))
ratings, movies, splits = data.ratings, data.movies, make_splits(data.ratings, SplitsConfig())
first = splits.slices_of(splits.development[-1])[0]
items = item_features(ratings, movies, splits.fit_end(first))
model = train_retrieval_model(ratings, items, splits.fit_end(first), TwoTowerConfig()).model
parts, vectors = vector_layout(model), item_vectors(model)
n_trained, n_closed = vectors[:, parts.trained].shape[1], vectors[:, parts.ease].shape[1]
print(f"{model.catalogue.n_items:,} movies, vectors of {n_trained} trained numbers, {n_closed} of EASE, trend and bias")

# %% [markdown]
# ## The loss
#
# The loss is the cross-entropy over the whole catalogue; random guessing would give the log of the catalogue's size.
# The curve is jagged because batches alternate between two tasks: predict the next like, and predict likes that were
# hidden at random.

# %%
plt.figure()
plt.plot(range(1, len(model.losses) + 1), model.losses)
plt.axhline(np.log(model.catalogue.n_items), linestyle=":")
plt.gca().set(xlabel="epoch", ylabel="loss", title="Training loss; dotted: guessing")
plt.savefig(pictures / "02_loss.png")
print(f"guessing {np.log(model.catalogue.n_items):.2f}, first epoch {model.losses[0]:.2f}, last {model.losses[-1]:.2f}")

# %% [markdown]
# ## How many likes are among the first k candidates?
#
# The figures are of all users of the window, answered by models that were fitted at its beginning. Popularity is the
# baseline. The trained half alone is about as good as all parts together: a single window has too few users to tell
# them apart. On more users, all parts together had the better first ten and the same recall (docs/stages/retrieval.md,
# "Rationale"). A movie outside the catalogue counts as missed by every model.

# %%
(asked,) = [one for one in EvaluationQuestions.of(ratings, splits).questions(first) if one.protocol == FROZEN]
users = histories_of(asked.known, model.catalogue, asked.requests["user_id"].to_numpy())
wanted = relevant_items(asked.targets, users.user_ids)
asking = user_vectors(model, users)
trained_half, ease, trend = asking.copy(), asking.copy(), asking.copy()
trained_half[:, parts.ease] = trained_half[:, parts.trend] = 0
ease[:, parts.trained] = ease[:, parts.trend] = ease[:, parts.bias] = 0
trend[:, parts.trained] = trend[:, parts.ease] = trend[:, parts.bias] = 0
queries = {"all parts": asking, "trained half": trained_half, "closed form": ease, "trend": trend}
found = {name: find_candidates(ExactSearch(vectors=vectors), own, users, 500).item_idx for name, own in queries.items()}
train = histories_of(fit_ratings(ratings, splits, first), model.catalogue)
popular = recommend(fit_popularity(train, BaselinesConfig()), users, 500)
ks = (10, 20, 50, 100, 200, 500)
print(f"{len(users.user_ids)} users")
plt.figure()
for name, lists in (*found.items(), ("popularity", popular)):
    hits = hits_of(np.where(lists >= 0, model.catalogue.item_ids[lists], -1), wanted)
    recall = [float(recall_at_k(hits[:, :k], wanted.counts).mean()) for k in ks]
    plt.plot(ks, recall, marker="o", label=name)
    print(f"{name:<12}", "  ".join(f"recall@{k} {value:.3f}" for k, value in zip(ks, recall, strict=True)))
plt.gca().set(xscale="log", xlabel="k", ylabel="recall@k", title="Users of one window, full catalogue")
plt.legend()
plt.savefig(pictures / "02_recall.png")

# %% [markdown]
# ## Which movies are similar?
#
# Similarity is the cosine of the trained halves of two item vectors, without the bias of the movie. The model has no
# data about sequels and studios: movies are close if the same people like them and if genre and period agree.

# %%
bare = vectors[:, parts.trained] / np.linalg.norm(vectors[:, parts.trained], axis=1, keepdims=True)
titles = dict(zip(movies["item_id"], movies["title"], strict=True))
for title in ("Godfather, The", "Toy Story", "Lord of the Rings: The Two Towers, The"):
    item_id = movies.filter(title=title)["item_id"].item()
    near = np.argsort(-(bare @ bare[model.catalogue.idx_of(np.array([item_id]))[0]]))[1:6]
    print(f"{title}: " + "; ".join(titles[int(one)] for one in model.catalogue.item_ids[near]))

# %% [markdown]
# ## Which ratings of a history count most?
#
# Each rating has a weight for its stars and a weight for its age. Both are learned, from constant or linear initial
# values: low stars push the user away from a movie, high stars pull, and recent ratings count more.

# %%
with torch.inference_mode():
    by_stars = model.user_encoder.rating_weight
    by_place, by_age = np.exp(model.user_encoder.place_bias), np.exp(model.user_encoder.age_bias)
_, axes = plt.subplots(1, 3, figsize=(11, 3), layout="constrained")
axes[0].bar(RATING_STEPS, by_stars, width=0.4)
axes[0].set(xlabel="stars", title="weight of a rating")
axes[1].bar([f"{2**place}" for place in range(len(by_place))], by_place)
axes[1].set(xlabel="places back, from", title="weight of a place")
axes[2].bar([*(f"{limit / 86_400:.3g}" for limit in AGE_LIMITS), "more"], by_age)
axes[2].set(xlabel="days before the latest rating, up to", title="weight of an age")
plt.savefig(pictures / "02_weights.png")
print("by stars ", by_stars.round(2), "\nby place ", by_place.round(2), "\nby age   ", by_age.round(2))

# %%
print("pictures saved in", pictures)
if plt.get_backend().lower() != "agg":  # a backend without a screen
    plt.show()
