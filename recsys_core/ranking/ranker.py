"""XGBoost LambdaMART over explicit features.

Burges (2010), "From RankNet to LambdaRank to LambdaMART", MSR-TR-2010-82: pairwise gradients, weighted by how much
swapping the pair would change NDCG. The scores order the items of one request; `calibration` turns them into
probabilities.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import xgboost as xgb
from threadpoolctl import threadpool_limits

from recsys_core.arrays import Float32s, Float64s
from recsys_core.days import DAY_S
from recsys_core.errors import REBUILD, ArtifactError, DataError
from recsys_core.features.registry import FEATURE_NAMES, FeatureSet, differences, feature_set_version
from recsys_core.parallel import StopCheck
from recsys_core.ranking.calibration import Calibration, load_calibration, save_calibration
from recsys_core.ranking.config import NO_RULES, ListRulesConfig, RankerConfig
from recsys_core.ranking.schemas import is_shown
from recsys_core.seeding import child_seed

LEAST_ROUNDS = 100
"""Fewest trees: on a few hundred queries 50 rank slightly worse, and 150 equally well."""

RETRIEVAL_Z = FEATURE_NAMES.index("pair_retrieval_z")


@dataclass(frozen=True, kw_only=True)
class Ranker:
    """A trained booster with its feature set and the number of candidates per request in training.

    The score is that of the booster, plus a weight times the standardised score of retrieval (`pair_retrieval_z`): with
    few training rows, retrieval's order is more reliable. The ranker also works without a calibration, and then gives
    no probabilities. The list rules are not trained; they are stored here so that a release pins them.
    """

    booster: xgb.Booster
    feature_set: FeatureSet
    n_candidates: int
    retrieval_weight: float = 0.0
    calibration: Calibration | None = None
    list_rules: ListRulesConfig = NO_RULES

    def score(self, features: Float32s) -> Float32s:
        """(n_rows,) score of each row of features, (n_rows, n_features); higher is better."""
        predicted: Float32s = self.booster.inplace_predict(features)
        return predicted + np.float32(self.retrieval_weight) * np.nan_to_num(features[:, RETRIEVAL_Z])

    def probability(self, scores: Float32s) -> Float64s | None:
        """The probability of a like for each score, in the same order as the scores; None without a calibration."""
        return None if self.calibration is None else self.calibration.probability(scores)

    def contributions(self, features: Float32s) -> Float32s:
        """(n_rows, n_features + 1) SHAP values; the last column is the base value, and a row sums to its score.

        Source: Lundberg et al. (2020), doi:10.1038/s42256-019-0138-9.
        """
        rows = xgb.DMatrix(features, feature_names=list(FEATURE_NAMES))
        predicted: Float32s = self.booster.predict(rows, pred_contribs=True)
        values = predicted.reshape(len(features), len(FEATURE_NAMES) + 1)  # the library's shape differs without rows
        # SHAP values of a sum add up; that of a linear term with mean 0 is the term itself.
        values[:, RETRIEVAL_Z] += np.float32(self.retrieval_weight) * np.nan_to_num(features[:, RETRIEVAL_Z])
        return values

    def importance(self) -> pl.DataFrame:
        """feature, gain (mean gain of its splits; 0 if unused), highest first."""
        gains = self.booster.get_score(importance_type="gain")
        used = pl.DataFrame(
            {"feature": list(gains), "gain": list(gains.values())}, schema={"feature": pl.String, "gain": pl.Float64}
        )
        table = pl.DataFrame({"feature": FEATURE_NAMES}).join(used, on="feature", how="left").fill_null(0.0)
        return table.sort("gain", "feature", descending=[True, False])

    def save(self, folder: Path) -> None:
        """Write the booster as JSON text, which survives damage better than UBJ, its features and its calibration."""
        self.booster.save_model(folder / "ranker.json")
        about = {
            "n_candidates": self.n_candidates,
            "retrieval_weight": self.retrieval_weight,
            "list_rules": self.list_rules.model_dump(),
            "feature_set": self.feature_set,
        }
        folder.joinpath("features.json").write_text(json.dumps(about, indent=1))
        save_calibration(self.calibration, folder)

    @classmethod
    def load(cls, folder: Path) -> "Ranker":
        """Read a ranker.

        Raises:
            ArtifactError: it is missing or damaged, or was trained on another feature set than that of this code.
        """
        try:
            about = json.loads(folder.joinpath("features.json").read_text())
            feature_set, n_candidates = dict(about["feature_set"]), int(about["n_candidates"])
            retrieval_weight = float(about["retrieval_weight"])
            list_rules = ListRulesConfig.model_validate(about.get("list_rules", {}))  # an older file has none
            differing = differences(feature_set)
            booster = xgb.Booster(model_file=folder / "ranker.json")
        except (OSError, ValueError, KeyError, TypeError, AttributeError, xgb.core.XGBoostError) as fault:
            raise ArtifactError(f"the ranker in {folder} is missing or damaged: {REBUILD}") from fault
        if differing:
            raise ArtifactError(
                f"the ranker was trained on feature set {feature_set_version(feature_set)}, the code computes "
                f"{feature_set_version()} ({'; '.join(differing)}): run `recsys refresh` to train it again"
            )
        calibration = load_calibration(folder)
        return cls(
            booster=booster,
            feature_set=feature_set,
            n_candidates=n_candidates,
            retrieval_weight=retrieval_weight,
            calibration=calibration,
            list_rules=list_rules,
        )


def fit_ranker(
    rows: pl.DataFrame, feature_set: FeatureSet, config: RankerConfig, moment: int, check: StopCheck = lambda: None
) -> Ranker:
    """Train on rows of `RankingExamples`.

    Groups without a like are left out, because they have no order. The check is called before each tree.

    Args:
        rows: training rows.
        feature_set: describes the columns.
        config: settings of the trees and weights of the groups.
        moment: seconds UTC; ages of rows are counted back from here.
        check: raises when the result is no longer wanted.

    Raises:
        DataError: no candidate of any user was liked.
    """
    if not rows["label"].sum():
        raise DataError("no candidate in the ranker's training rows was liked: use more data or more candidates")
    rank = pl.col("pair_retrieval_rank").cast(pl.Int64)
    is_used = (rank <= config.top_candidates) | (rank % config.tail_step == 0) | is_shown()
    used = rows.filter(is_used).filter(pl.col("label").sum().over("slice", "user_id") > 0)
    weights = group_weights(used, config, moment)
    n_rounds = min(config.n_rounds, max(LEAST_ROUNDS, round(weights.height / config.groups_per_tree)))
    with threadpool_limits(limits=config.n_threads, user_api="openmp"):  # its own setting cannot raise OMP_NUM_THREADS
        booster = xgb.train(
            _parameters(config),
            _matrix(used, weights, config.n_threads),
            num_boost_round=n_rounds,
            callbacks=[_StopCheckCallback(check)],
        )
    return Ranker(
        booster=booster,
        feature_set=feature_set,
        n_candidates=int(rows.filter(~is_shown())["pair_retrieval_rank"].max()),  # type: ignore[arg-type]  # never null
    )


def group_weights(rows: pl.DataFrame, config: RankerConfig, moment: int) -> pl.DataFrame:
    """slice, user_id, weight of each group, in the order of the rows.

    Older groups have lower weights. All logged requests of a user share `shown_weight`.

    Args:
        rows: slice, user_id, known_at; rows of a group are adjacent.
        config: half-life and weight.
        moment: seconds UTC; ages are counted back from here.
    """
    groups = rows.select("slice", "user_id", "known_at").unique(["slice", "user_id"], keep="first", maintain_order=True)
    age = (moment - pl.col("known_at")).clip(lower_bound=0) / DAY_S
    share = pl.when(is_shown()).then(config.shown_weight / pl.len().over("user_id", is_shown())).otherwise(1.0)
    weight = share * (0.5 ** (age / config.half_life_days))
    return groups.select("slice", "user_id", weight=weight.cast(pl.Float64))


class _StopCheckCallback(xgb.callback.TrainingCallback):
    """Calls a stop check before each tree."""

    def __init__(self, check: StopCheck) -> None:
        self.check = check

    def before_iteration(self, model: xgb.Booster, epoch: int, evals_log: dict[str, Any]) -> bool:
        """Never stops by its return value: the check raises instead."""
        self.check()
        return False


def _matrix(rows: pl.DataFrame, weights: pl.DataFrame, n_threads: int) -> xgb.DMatrix:
    group = rows.select(pl.struct("slice", "user_id").rle_id()).to_series().to_numpy()
    return xgb.DMatrix(
        rows.select(FEATURE_NAMES).to_numpy(),
        label=rows["label"].to_numpy(),
        qid=group,
        weight=weights["weight"].to_numpy(),
        feature_names=list(FEATURE_NAMES),
        nthread=n_threads,
    )


def _parameters(config: RankerConfig) -> dict[str, object]:
    return {
        "objective": "rank:ndcg",
        "lambdarank_pair_method": "topk",
        "lambdarank_num_pair_per_sample": config.n_pairs,
        "tree_method": "hist",
        "eta": config.learning_rate,
        "max_depth": config.max_depth,
        "min_child_weight": config.min_child_weight,
        "subsample": config.row_share,
        "colsample_bytree": config.column_share,
        "lambda": config.l2,
        "nthread": config.n_threads,
        "seed": child_seed(config.seed, "ranker") % 2**31,
    }
