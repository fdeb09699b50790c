# ruff: noqa: D100  # the first cell says what this is
# %% [markdown]
# # 01 What is in the data, and which wrong conclusions does it invite?
#
# A recommender learns from the ratings that people happened to give. This notebook looks at MovieLens before any model
# is trained, and names the wrong conclusion that each property of the data invites.
#
# Run it as a plain script, or open it as a notebook with Jupytext. It shows its pictures if there is a screen, and
# saves them into `pictures/` of the lake.

# %%
import matplotlib.pyplot as plt
import polars as pl

from recsys_assets.resources import PROJECT, lake_root
from recsys_core.data.config import SplitsConfig
from recsys_core.data.histories import catalogue_of
from recsys_core.data.leaks import leaks
from recsys_core.data.movielens.reading import read_dataset
from recsys_core.data.movielens.sources import EMBEDDED, locate
from recsys_core.data.schemas import LIKED
from recsys_core.data.splits import TEST, fit_ratings, make_splits
from recsys_core.metrics.beyond_accuracy import gini_of_exposure

pictures = lake_root() / "pictures"
pictures.mkdir(parents=True, exist_ok=True)
dataset = read_dataset(locate(EMBEDDED, PROJECT / "data_lake" / "raw"))
ratings, movies = dataset.ratings, dataset.movies
print(f"{ratings.height:,} ratings, {ratings['user_id'].n_unique()} users, {ratings['item_id'].n_unique():,} movies")
print("lines of the files:", dataset.counts)

# %% [markdown]
# ## People rate what they like
#
# Half of all ratings are likes. People only rate movies that they chose to watch. So a missing rating is not a dislike,
# and a mean of 3.5 stars says nothing about a random movie. Half stars (0.5, 1.5, ...) are rarer because the site
# introduced them only in 2003.

# %%
stars = ratings.group_by("rating").len().sort("rating")
plt.figure()
plt.bar(stars["rating"], stars["len"], width=0.4)
plt.gca().set(xlabel="stars", ylabel="ratings", title="Most ratings are high")
plt.savefig(pictures / "01_stars.png")
likes = (ratings["rating"] >= LIKED).mean()
print(f"share of likes (from {LIKED} stars): {likes:.2f}, mean {ratings['rating'].mean():.2f}")

# %% [markdown]
# ## A few movies have most of the ratings
#
# Popularity falls roughly as a power of the rank, with a long tail. So a list of the most popular movies is a strong
# baseline, and a mean over all targets hides the tail.

# %%
popularity = ratings.group_by("item_id").len().sort("len", descending=True)
plt.figure()
plt.loglog(range(1, popularity.height + 1), popularity["len"])
plt.gca().set(xlabel="rank of the movie", ylabel="ratings", title="The long tail")
plt.savefig(pictures / "01_long_tail.png")
head = popularity.head(popularity.height // 10)["len"].sum() / ratings.height
once = popularity.filter(pl.col("len") == 1).height / popularity.height
catalogue = catalogue_of(ratings)
rated = catalogue.idx_of(ratings["item_id"].to_numpy()).reshape(-1, 1)  # each rating as a list of length 1
print(f"a tenth of the movies has {head:.0%} of the ratings; {once:.0%} of the movies have a single one")
print(f"Gini of the ratings per movie: {gini_of_exposure(rated, catalogue.n_items):.2f}")

# %% [markdown]
# ## People rate in bursts
#
# Most people rated on a single day, one movie right after another, from memory, and never came back. Many ratings have
# the same second as another; the order of their rows is the order of the ids and means nothing.

# %%
ordered = ratings.sort("user_id", "timestamp")
gap_s = ordered.select(pl.col("timestamp").diff().over("user_id").alias("gap_s")).drop_nulls()["gap_s"]
days = ratings.group_by("user_id").agg(n=pl.col("timestamp").floordiv(86_400).n_unique())
plt.figure()
plt.hist(gap_s.clip(1, 10**8).log10(), bins=40)
plt.gca().set(xlabel="log10 of the seconds since the same user's rating before", ylabel="ratings", title="Bursts")
plt.savefig(pictures / "01_bursts.png")
soon, at_once = (gap_s <= 600).mean(), (gap_s == 0).mean()
print(f"within ten minutes of the one before: {soon:.0%}; in the same second: {at_once:.0%}")
print(f"users who rated on one day only: {(days['n'] == 1).mean():.0%}")

# %% [markdown]
# ## Many users of a window are new
#
# We cut time into windows, at the same moments for all users, and each window into four steps; models are refitted at
# the beginning of each step. Many users of a window have no ratings when it begins, and some of the movies that they
# will like have never been rated. A model that has one vector per known user cannot serve new users. The refits within
# the window see more of the users and of the movies.

# %%
splits = make_splits(ratings, SplitsConfig())
steps = splits.slices_of(TEST)
known = fit_ratings(ratings, splits, steps[0])
wanted = splits.targets.filter(pl.col("slice").is_in(steps))
new_users = ~wanted["user_id"].unique().is_in(known["user_id"].unique().to_list())
unseen = ~wanted["item_id"].is_in(known["item_id"].unique().to_list())
windows = splits.cutoffs.group_by("window", maintain_order=True).agg(pl.col("fit_end").min(), pl.col("until").max())
print(windows.with_columns(pl.from_epoch("fit_end", time_unit="s"), pl.from_epoch("until", time_unit="s")))
print(f"of {len(new_users)} users of the last window {new_users.mean():.0%} are new when it begins")
print(f"of their {wanted.height:,} likes {unseen.mean():.0%} are of movies without an earlier rating")
late = 0
for step in steps:
    own = wanted.filter(slice=step)["item_id"]
    late += (~own.is_in(fit_ratings(ratings, splits, step)["item_id"].unique().to_list())).sum()
print(f"with a refit at each of {len(steps)} steps, {late / wanted.height:.0%} are")
print("leaks of the future in the splits:", leaks(ratings, splits))

# %% [markdown]
# ## What a random split would leak
#
# Hide a random tenth of the ratings instead. For nearly every hidden rating, the training data now holds *later*
# ratings of the same user from the same burst, and other ratings of the movie, however new it was. Scores rise, but
# they are meaningless, because a service cannot look into the future.

# %%
hidden = ratings.sample(fraction=0.1, seed=17)
kept = ratings.join(hidden, on=["user_id", "item_id"], how="anti")
last_kept = kept.group_by("user_id").agg(last=pl.col("timestamp").max())
leaked = (hidden.join(last_kept, on="user_id")["last"] > hidden.join(last_kept, on="user_id")["timestamp"]).mean()
cold = (~hidden["item_id"].is_in(kept["item_id"].unique().to_list())).mean()
print(f"random split: {leaked:.0%} of the hidden ratings have later ratings of their user in training")
print(f"hidden ratings of movies without other ratings: {cold:.1%} at random, {unseen.mean():.1%} with the cut in time")

# %%
print("pictures saved in", pictures)
if plt.get_backend().lower() != "agg":  # a backend without a screen
    plt.show()
