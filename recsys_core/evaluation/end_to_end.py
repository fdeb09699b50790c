"""The whole system on every window: towers, index, features, ranker and list rules, each as it would have served."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import polars as pl

from recsys_core.data.splits import Splits, fit_ratings
from recsys_core.evaluation.baselines.tuning import BaselineLists
from recsys_core.evaluation.config import EvaluationConfig
from recsys_core.evaluation.funnel import Stages
from recsys_core.evaluation.protocols import EvaluationQuestions, Questions
from recsys_core.evaluation.report import Answered, EvalReport, evaluate
from recsys_core.features.tables import of_slice
from recsys_core.parallel import StopCheck, run_in_parallel
from recsys_core.ranking.inputs import CandidateGenerator, ModelOf, generate_candidates, generator_of
from recsys_core.ranking.lists import ListedItems, apply_rules_to_all, listed_items, rank
from recsys_core.ranking.ranker import Ranker
from recsys_core.retrieval.candidates import Retriever, seen_at
from recsys_core.retrieval.config import IndexConfig


@dataclass(frozen=True, kw_only=True)
class SystemInputs:
    """Every part of the system as of every window, and the questions of the windows."""

    ratings: pl.DataFrame  # RATINGS columns, every rating that was ever given
    splits: Splits  # with the test's targets
    items: pl.DataFrame  # item_features_by_slice
    movies: pl.DataFrame  # MOVIES
    model_of: ModelOf
    ranker_of: Callable[[str], Ranker]  # by window
    index: IndexConfig
    baselines: BaselineLists


def evaluate_end_to_end(inputs: SystemInputs, config: EvaluationConfig) -> EvalReport:
    """Answer every user of every evaluation window as serving would have, and evaluate the answers."""
    evaluation = EvaluationQuestions.of(inputs.ratings, inputs.splits)
    tasks = [partial(_answers_of, inputs, evaluation, name) for name in evaluation.slices]
    answered = [one for answers in run_in_parallel(tasks, at_once=2) for one in answers]
    return evaluate(answered, inputs.baselines.lists, config)


def _answers_of(inputs: SystemInputs, evaluation: EvaluationQuestions, name: str, check: StopCheck) -> list[Answered]:
    """The answers of the models of one slice."""
    check()
    items, model = of_slice(inputs.items, name), inputs.model_of(name)
    exact = generator_of(model, items)
    models = _Models(
        generator=replace(exact, retriever=exact.retriever.with_index(inputs.index)),
        exact=exact.retriever,
        ranker=inputs.ranker_of(inputs.splits.window_of(name)),
        listed=listed_items(exact, inputs.movies),
        items=items,
        trained_users=fit_ratings(inputs.ratings, inputs.splits, name)["user_id"].unique(),
    )
    return [models.answer(questions) for questions in evaluation.questions(name)]


@dataclass(frozen=True, kw_only=True)
class _Models:
    """The models of a slice."""

    generator: CandidateGenerator
    exact: Retriever  # the same without an index
    ranker: Ranker
    listed: ListedItems
    items: pl.DataFrame
    trained_users: pl.Series

    def answer(self, questions: Questions) -> Answered:
        n_candidates, rules = self.ranker.n_candidates, self.ranker.list_rules
        proposed = generate_candidates(
            self.generator,
            questions.known,
            questions.requests,
            n_candidates=n_candidates,
            rewatch_after_days=rules.rewatch_after_days,
        )
        seen = seen_at(proposed.users, proposed.requested_at, rules.rewatch_after_days)
        exact = self.exact.candidates(proposed.user_vectors, seen, proposed.requested_at, n_candidates)
        ranked = apply_rules_to_all(rank(self.ranker, proposed), self.listed, rules)
        return Answered(
            questions=questions,
            stages=Stages(
                users=proposed.users,
                catalogue=self.generator.model.catalogue,
                exact=exact.item_idx,
                found=proposed.candidates.item_idx,
                ranked=ranked.item_idx,
            ),
            items=self.items,
            trained_users=self.trained_users,
        )
