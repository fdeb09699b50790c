"""Faults between training and search, and on the way to the list: pitfalls 13 to 19, 22, 23, 26, 29, 34 and 35."""

from recsys_core.data import schemas
from recsys_core.data.histories import catalogue_of
from recsys_core.evaluation.baselines.scorer import recommend
from recsys_core.features import assembler
from recsys_core.features.items import item_days_known
from recsys_core.features.registry import feature_set
from recsys_core.features.schemas import table_schema
from recsys_core.monitoring.parity import _explained_by_arrivals, _Pair
from recsys_core.ranking.ranker import Ranker, _matrix
from recsys_core.ranking.training_rows import slice_rows
from recsys_core.retrieval.candidates import Retriever, find_candidates
from recsys_core.retrieval.index import ItemIndex, _best, _trained_inverted_file, build_index, index_recall
from recsys_core.retrieval.losses import Sampler, sampled_scores
from recsys_core.retrieval.model import embed_items
from recsys_core.retrieval.towers import encode_items
from recsys_core.retrieval.training import train_retrieval_model
from recsys_core.serving.bundle import _check_inputs
from recsys_core.serving.recommender import Recommender
from recsys_core.serving.user_state import UserStateStore
from tests.bug_lab.fault import Fault

PARITY = "tests/core/monitoring/test_parity.py"

FAULTS_OF_SAMPLING = (
    Fault(
        number=13,
        what="the logQ correction has the wrong sign",
        where=sampled_scores,
        before="negatives.n_drawn / negatives.n_expected",
        after="negatives.n_expected / negatives.n_drawn",
        tests=(
            "tests/core/retrieval/test_losses.py::"
            "test_over_all_possible_draws_the_sum_and_its_gradient_are_those_of_the_catalogue",
        ),
    ),
    Fault(
        number=13,
        what="q ignores that a user's own history is masked",
        where=Sampler.with_expectations,
        before="len(from_batch) * others * self.share[item_idx]",
        after="len(from_batch) * self.share[item_idx]",
        tests=(
            "tests/core/retrieval/test_losses.py::"
            "test_over_all_possible_draws_the_sum_and_its_gradient_are_those_of_the_catalogue",
        ),
    ),
    Fault(
        number=14,
        what="the user's rated items remain among the negatives",
        where=sampled_scores,
        before="corrected.masked_fill(torch.from_numpy(negatives.is_own | not_yet_rated), -torch.inf)",
        after="corrected",
        tests=("tests/core/retrieval/test_losses.py::test_an_accidental_hit_has_no_mass",),
    ),
    Fault(
        number=15,
        what="the exported bias contains the popularity correction",
        where=encode_items,
        before="return towers.items().numpy()",
        after="""
            vectors = towers.items().numpy()
            vectors[:, -1] -= towers.log_popularity.numpy()
            return vectors
        """,
        tests=("tests/core/retrieval/test_losses.py::test_the_serving_score_is_the_plain_dot_product",),
    ),
)

FAULTS_OF_MODELS = (
    *FAULTS_OF_SAMPLING,
    Fault(
        number=16,
        what="the index holds unit vectors, but the towers were trained with dot products",
        where=build_index,
        before="index.add(vectors)",
        after="index.add(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))",
        tests=("tests/core/retrieval/test_index.py::test_scores_are_the_towers_dot_products[flat]",),
    ),
    Fault(
        number=16,
        what="the index searches by distance",
        where=build_index,
        before="faiss.IndexFlatIP(d)",
        after="faiss.IndexFlatL2(d)",
        tests=(
            "tests/core/retrieval/test_candidates.py::test_both_searches_agree",
            "tests/core/retrieval/test_index.py::test_scores_are_the_towers_dot_products[flat]",
        ),
    ),
    Fault(
        number=17,
        what="the number of visited cells is not stored",
        where=ItemIndex.load,
        before="index = faiss.deserialize_index(data)",
        after="""
            index = faiss.deserialize_index(data)
            if hasattr(index, "nprobe"):
                index.nprobe = 1
        """,
        tests=(
            "tests/core/retrieval/test_index.py::"
            "test_n_probe_is_stored_with_the_index_and_never_above_the_number_of_cells",
            "tests/core/retrieval/test_index.py::test_recall_survives_the_disk",
        ),
    ),
    Fault(
        number=17,
        what="one cell is visited, the library's default",
        where=_trained_inverted_file,
        before="index.nprobe = min(config.n_probe, n_cells)",
        after="",
        tests=("tests/core/retrieval/test_index.py::test_recall_survives_the_disk",),
    ),
    Fault(
        number=17,
        what="recall is measured against the index itself",
        where=index_recall,
        before="np.argpartition(-(batch @ vectors.T), k - 1, axis=1)[:, :k]",
        after="index.search(batch, k)[0]",
        tests=("tests/core/retrieval/test_index.py::test_recall_counts_what_the_index_misses",),
    ),
    Fault(
        number=18,
        what="parts of different builds are served together",
        where=_check_inputs,
        before="parts[name].version != version",
        after="not parts[name].version",
        tests=(
            "tests/core/serving/test_bundle.py::test_an_index_of_another_tower_is_refused_even_with_a_right_tower",
            "tests/core/serving/test_bundle.py::test_a_refresh_that_stopped_half_way_is_refused",
        ),
    ),
    Fault(
        number=19,
        what="the rows of the catalogue are not sorted by id",
        where=catalogue_of,
        before='ratings["item_id"].unique().sort()',
        after='ratings["item_id"].unique(maintain_order=True)',
        tests=("tests/core/data/test_histories.py::test_the_catalogue_numbers_rated_items_by_ascending_id",),
    ),
    Fault(
        number=19,
        what="ids are shifted by one row against their vectors",
        where=embed_items,
        before="item_vectors(model)[model.rated]",
        after="np.roll(item_vectors(model)[model.rated], 1, axis=0)",
        tests=(
            "tests/core/retrieval/test_vectors.py::test_each_row_is_the_item_towers_vector_of_the_id_beside_it",
            "tests/core/retrieval/test_report.py::test_tower_vectors_and_index_of_one_build_match",
        ),
    ),
    Fault(
        number=19,
        what="the index returns row numbers of another catalogue",
        where=ItemIndex.search,
        before="np.take_along_axis(item_idx, order, axis=1)",
        after="(np.take_along_axis(item_idx, order, axis=1) + 1) % self.n_items",
        tests=("tests/core/retrieval/test_index.py::test_items_find_themselves_under_cosine_and_carry_their_own_ids",),
    ),
    Fault(
        number=22,
        what="the ranker reads columns by position instead of name",
        where=_matrix,
        before="rows.select(FEATURE_NAMES)",
        after='rows.drop("slice", "user_id", "item_id", "label", "known_at")',
        tests=("tests/core/ranking/test_ranker.py::test_the_order_of_the_columns_changes_no_score",),
    ),
    Fault(
        number=22,
        what="a missing column is ignored",
        where=table_schema,
        before="return pa.DataFrameSchema(columns, checks=checks, name=name, strict=True, ordered=True, unique=unique)",
        after="""
            columns = {
                key: pa.Column(one.dtype, one.checks, nullable=one.nullable, required=False)
                for key, one in columns.items()
            }
            return pa.DataFrameSchema(columns, name=name, strict=True, ordered=True)
        """,
        tests=("tests/core/features/test_schemas.py::test_an_absent_column_is_named",),
    ),
    Fault(
        number=22,
        what="a ranker with another feature set is loaded",
        where=Ranker.load,
        before="differing",
        after="not feature_set",
        tests=("tests/core/ranking/test_ranker.py::test_another_set_of_features_is_refused_and_what_differs_is_named",),
    ),
    Fault(
        number=22,
        what="the version of a feature ignores its code",
        where=feature_set,
        before="code_version(one.function, packages=CODE, parameters={}, libraries=[])",
        after='"0000"',
        tests=(
            "tests/core/features/test_registry.py::"
            "test_the_code_of_a_feature_is_what_it_reaches_and_not_what_people_read[a helper beside it]",
        ),
    ),
    Fault(
        number=22,
        what="values are in the column of another feature",
        where=(assembler, "_ITEM_COLUMNS"),
        before="_ITEM",
        after="reversed(_ITEM)",
        tests=("tests/core/features/test_assembler.py::test_columns_follow_the_registry",),
    ),
    Fault(
        number=22,
        what="ages are in seconds, but declared in days",
        where=item_days_known,
        before="(items.times - items.first_at) / DAY_S",
        after="items.times - items.first_at",
        tests=("tests/core/features/test_assembler.py::test_every_feature_of_the_tiny_world_keeps_its_declaration",),
    ),
    Fault(
        number=22,
        what="milliseconds are accepted as seconds",
        where=(schemas, "_WINDOW"),
        before="pa.Check.in_range(EARLIEST_TIMESTAMP, LATEST_TIMESTAMP)",
        after="pa.Check.ge(EARLIEST_TIMESTAMP)",
        tests=("tests/core/data/test_schemas.py::test_a_timestamp_outside_the_window_is_refused_milliseconds_too",),
    ),
    Fault(
        number=23,
        what="some likes are labelled as negatives",
        where=slice_rows,
        before="splits.targets.filter(slice=name)",
        after="splits.targets.filter(slice=name).gather_every(2)",
        tests=(
            "tests/core/ranking/test_training_rows.py::test_labels_are_the_likes_that_came_after_and_nothing_else",
            "tests/core/ranking/test_training_rows.py::test_negatives_are_no_likes_and_the_hardest_of_the_catalogue",
        ),
    ),
    Fault(
        number=23,
        what="the ranker's negatives are all easy",
        where=Retriever._rated,
        before="ExactSearch(vectors=self.item_vectors[rated])",
        after="ExactSearch(vectors=self.item_vectors[rated][:, ::-1])",
        tests=(
            "tests/core/ranking/test_training_rows.py::test_negatives_are_no_likes_and_the_hardest_of_the_catalogue",
        ),
    ),
    Fault(
        number=34,
        what="a new item keeps its random initial vector",
        where=train_retrieval_model,
        before="np.flatnonzero(first == NEVER)",
        after="np.flatnonzero(first == NEVER)[:0]",
        tests=("tests/core/retrieval/test_new_items.py::test_what_a_new_item_is_worth_is_said_by_its_content_alone",),
    ),
    Fault(
        number=34,
        what="new items compete with rated ones by score",
        where=Retriever.candidates,
        before="n_new = min(int(self.model.new_item_share * n), len(self.model.new)) if is_now.any() else 0",
        after="n_new = 0",
        tests=(
            "tests/core/retrieval/test_new_items.py::test_new_items_take_their_share_of_the_places_and_no_other",
            "tests/core/retrieval/test_new_items.py::test_a_new_item_that_was_rated_since_is_seen",
        ),
    ),
    Fault(
        number=35,
        what="FAISS decides which of equal items are found",
        where=ItemIndex.search,
        before="_cuts_equals(item_idx, scores, k)",
        after="False",
        tests=(
            "tests/core/retrieval/test_index.py::test_of_equal_items_the_first_are_found_however_many_are_asked_for",
        ),
    ),
    Fault(
        number=35,
        what="a partial sort decides which of equal items are found",
        where=_best,
        before="columns = np.nonzero(above | (level & (np.cumsum(level, axis=1) <= room)))[1].reshape(len(scores), k)",
        after="columns = np.argpartition(-scores, k - 1, axis=1)[:, :k]",
        tests=(
            "tests/core/retrieval/test_candidates.py::"
            "test_a_tie_at_the_end_of_the_list_goes_to_the_first_items_whatever_was_fetched",
        ),
    ),
    Fault(
        number=26,
        what="candidates are not filtered",
        where=find_candidates,
        before="(items >= 0) & ~is_hidden[items]",
        after="items >= 0",
        tests=(
            "tests/core/retrieval/test_candidates.py::test_no_rated_item_is_ever_a_candidate",
            "tests/core/serving/test_recommender.py::test_training_evaluation_and_serving_share_one_filter",
        ),
    ),
    Fault(
        number=26,
        what="baselines list rated items",
        where=recommend,
        before="scores[chosen.rows, chosen.item_idx] = -np.inf",
        after="scores[chosen.rows, chosen.item_idx] = 0",
        tests=("tests/core/evaluation/baselines/test_scorer.py::test_no_baseline_recommends_what_the_user_has_rated",),
    ),
    Fault(
        number=26,
        what="serving filters only the likes of a user",
        where=UserStateStore._logged,
        before="self.ratings[first:last]",
        after='self.ratings[first:last].filter(pl.col("rating") >= 4)',
        tests=("tests/core/serving/test_recommender.py::test_a_known_users_history_is_all_of_it",),
    ),
    Fault(
        number=29,
        what="the recommender shows the order of retrieval",
        where=Recommender.answer,
        before="apply_rules(item_idx, scores, self.listed, ranker.list_rules, request.k, shown_unclicked)",
        after="apply_rules(item_idx, 0 * scores, self.listed, ranker.list_rules, request.k, shown_unclicked)",
        tests=(f"{PARITY}::test_of_the_past_nothing_differs_in_any_column_of_any_slot",),
    ),
    Fault(
        number=29,
        what="parity checks that an item is a candidate, but not its place",
        where=_Pair._wrong_slots,
        before='slots["item_id"].ne_missing(expected).to_numpy()',
        after="again.ranks == 0",
        tests=(f"{PARITY}::test_a_wrong_list_is_found_and_said_to_be_what_it_is[two neighbours swapped]",),
    ),
    Fault(
        number=29,
        what="parity ignores lists that are too short",
        where=_Pair._wrong_lengths,
        before='both["n_logged"] != both["n_offered"]',
        after='both["n_logged"] > both["n_offered"]',
        tests=(
            f"{PARITY}::test_a_request_of_which_no_slot_was_logged_is_a_wrong_list",
            f"{PARITY}::test_a_wrong_list_is_found_and_said_to_be_what_it_is[fewer than k]",
        ),
    ),
    Fault(
        number=29,
        what="a late rating excuses every fault of the answer",
        where=_explained_by_arrivals,
        before='doubtful.join(again.differing(), on="request_id", how="anti")',
        after="doubtful",
        tests=(f"{PARITY}::test_a_late_rating_excuses_no_other_fault_of_its_request",),
    ),
)
