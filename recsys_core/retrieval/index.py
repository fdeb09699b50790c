"""Search of the items with the highest inner product: FAISS, exact for small catalogues, an inverted file above.

`index_tradeoff` compares recall and query time of other indexes over the same vectors: it shows whether exact search is
still the right choice for a catalogue of this size, and when an inverted file or a graph would be faster. Times differ
between machines and runs: show them, never store them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import faiss
import numpy as np
import polars as pl

from recsys_core.arrays import Float32s, Int64s, read_array, write_array
from recsys_core.errors import REBUILD, ArtifactError
from recsys_core.retrieval.config import IndexConfig
from recsys_core.seeding import child

# For large batches FAISS switches to BLAS, which sums in another order: a user's candidates would then depend on the
# size of the batch. Without BLAS, one user alone and a thousand together get the same bits.
faiss.cvar.distance_compute_blas_threshold = 2**31 - 1

QUERIES_AT_ONCE = 512
"""Queries per search: bounds the memory of exact scores at 512 x n_items floats."""


class Searchable(Protocol):
    """Items that can be searched by inner product."""

    @property
    def n_items(self) -> int:
        """Number of items."""

    def search(self, queries: Float32s, k: int) -> tuple[Int64s, Float32s]:
        """The k best items of each query, best first: positions and inner products, (n_queries, k) each.

        A position is -1 where fewer are found.
        """


@dataclass(frozen=True, kw_only=True)
class ItemIndex:
    """A searchable set of item vectors; positions are item_idx of the catalogue that they were built from."""

    faiss_index: faiss.Index
    item_ids: Int64s  # (n_items,) ascending outside ids

    @property
    def n_items(self) -> int:
        """Number of items."""
        return int(self.faiss_index.ntotal)

    def search(self, queries: Float32s, k: int) -> tuple[Int64s, Float32s]:
        """The k best items of each query, best first: item_idx and inner products, (n_queries, k) each.

        Where fewer than k items are found, item_idx is -1. Ties are in the order of item_idx, also at the end of the
        list: FAISS breaks them by k, so that one user's list would depend on the rest of the batch.
        """
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        n_fetched = max(k, min(k + 1, self.n_items))
        scores, item_idx = self.faiss_index.search(queries, n_fetched)
        while n_fetched < self.n_items and _cuts_equals(item_idx, scores, k):
            n_fetched = min(2 * n_fetched, self.n_items)
            scores, item_idx = self.faiss_index.search(queries, n_fetched)
        order = np.lexsort((item_idx, -scores))[:, :k]
        return np.take_along_axis(item_idx, order, axis=1), np.take_along_axis(scores, order, axis=1)

    def save(self, folder: Path) -> None:
        """Write the index and the item ids of its positions."""
        folder.joinpath("items.faiss").write_bytes(faiss.serialize_index(self.faiss_index).tobytes())
        write_array(self.item_ids, folder / "item_ids.npy")

    @classmethod
    def load(cls, folder: Path) -> "ItemIndex":
        """Read an index; the number of cells visited per query is stored with it.

        Raises:
            ArtifactError: the files are missing, damaged, or do not belong together.
        """
        try:
            data = np.frombuffer(folder.joinpath("items.faiss").read_bytes(), dtype=np.uint8)
            index = faiss.deserialize_index(data)
        except (OSError, RuntimeError, MemoryError) as fault:  # a flipped length may ask for exabytes
            raise ArtifactError(f"the index in {folder} is missing or damaged: {REBUILD}") from fault
        item_ids = read_array(folder / "item_ids.npy", np.int64, ndim=1)
        if len(item_ids) != index.ntotal:
            raise ArtifactError(
                f"the index in {folder} holds {index.ntotal} vectors for {len(item_ids)} items: {REBUILD}"
            )
        return cls(faiss_index=index, item_ids=item_ids)


@dataclass(frozen=True, kw_only=True)
class ExactSearch:
    """The same search by matrix products: the reference, and the search of models without an index."""

    vectors: Float32s  # (n_items, d)

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.vectors)

    def search(self, queries: Float32s, k: int) -> tuple[Int64s, Float32s]:
        """As `ItemIndex.search`."""
        scores = queries @ self.vectors.T
        best = _best(scores, k)
        return best, np.take_along_axis(scores, best, axis=1)


def _cuts_equals(item_idx: Int64s, scores: Float32s, k: int) -> bool:
    """Whether unfetched items may have the same score as the k-th best of some query."""
    return bool(((item_idx[:, -1] >= 0) & (scores[:, -1] == scores[:, k - 1])).any())


def _best(scores: Float32s, k: int) -> Int64s:
    """(n_queries, k) columns of the k highest scores of each row; ties, also at the end, in column order.

    A plain argpartition breaks ties by k, so that one user's list would depend on the rest of the batch.
    """
    last = -np.partition(-scores, k - 1, axis=1)[:, k - 1 : k]  # (n_queries, 1) the k-th best score
    above, level = scores > last, scores == last
    room = k - above.sum(axis=1, keepdims=True)
    columns = np.nonzero(above | (level & (np.cumsum(level, axis=1) <= room)))[1].reshape(len(scores), k)
    order = np.argsort(-np.take_along_axis(scores, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1)


def build_index(vectors: Float32s, item_ids: Int64s, config: IndexConfig) -> ItemIndex:
    """Index the item vectors, (n_items, d): exact up to `flat_until` items, an inverted file above.

    The inverted file has about 4 sqrt(n) cells. HNSW was slower and larger with a lower recall at every size tried.
    """
    n_items, d = vectors.shape
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if n_items <= config.flat_until:
        index: faiss.Index = faiss.IndexFlatIP(d)
    else:
        index = _trained_inverted_file(vectors, config)
    index.add(vectors)
    return ItemIndex(faiss_index=index, item_ids=item_ids)


def index_recall(index: ItemIndex, vectors: Float32s, queries: Float32s, k: int) -> Float32s:
    """(n_queries,) share of the k best items that the index finds: 1 for an exact index.

    The k best items come from a matrix product, so that an error of the index cannot hide in its own reference.
    """
    k = min(k, index.n_items)
    shares = []
    for start in range(0, len(queries), QUERIES_AT_ONCE):
        batch = queries[start : start + QUERIES_AT_ONCE]
        exact = np.argpartition(-(batch @ vectors.T), k - 1, axis=1)[:, :k]
        found, _ = index.search(batch, k)
        shares += [len(np.intersect1d(one, two)) / k for one, two in zip(exact, found, strict=True)]
    return np.array(shares, dtype=np.float32)


def _trained_inverted_file(vectors: Float32s, config: IndexConfig) -> faiss.Index:
    n_items, d = vectors.shape
    n_cells = max(1, min(int(4 * np.sqrt(n_items)), n_items // 39))  # FAISS wants 39 training points per cell
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(d), d, n_cells, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed = config.seed % 2**31
    index.train(vectors)
    index.nprobe = min(config.n_probe, n_cells)
    return index


Clock = Callable[[], float]
"""A monotonic clock in seconds, such as `time.perf_counter`."""

N_PROBES = (1, 2, 4, 8, 16, 32)
EF_SEARCHES = (16, 32, 64, 128, 256)
HNSW_LINKS = 32
K = 100

MOST_ITEMS = 20_000
"""Larger catalogues are sampled: building a graph over 20,000 vectors takes seconds, over a million much longer."""

MOST_QUERIES = 200

TRADEOFF_COLUMNS: dict[str, pl.DataType] = {
    "kind": pl.String(),
    "effort": pl.Int64(),
    "recall": pl.Float64(),
    "p50_ms": pl.Float64(),
    "p95_ms": pl.Float64(),
}


def index_tradeoff(vectors: Float32s, queries: Float32s, clock: Clock, seed: int = 17) -> pl.DataFrame:
    """TRADEOFF_COLUMNS: an exact index, an inverted file at several n_probe, a graph (HNSW) at several ef.

    `recall` is the share of the 100 truly best items that is found, over all queries; the times are those of one query
    alone, as a service asks.

    Args:
        vectors: (n_items, d) of the catalogue.
        queries: (n_users, d) user vectors; at least one.
        clock: told the time before and after each query.
        seed: draws `MOST_ITEMS` and `MOST_QUERIES` where there are more, and the cells of the inverted file.
    """
    rng = child(seed, "frontier")
    items, asked = (_sampled(rows, most, rng) for rows, most in ((vectors, MOST_ITEMS), (queries, MOST_QUERIES)))
    rows = []
    for kind, effort, index in _indexes(items, seed):
        found = index_recall(index, items, asked, K)
        times = np.array(_query_times(index, asked, clock)) * 1000
        rows.append((kind, effort, float(found.mean()), *np.quantile(times, [0.5, 0.95]).tolist()))
    return pl.DataFrame(rows, schema=TRADEOFF_COLUMNS, orient="row")


def _indexes(vectors: Float32s, seed: int) -> Iterator[tuple[str, int, ItemIndex]]:
    """Kind, effort and index; an index is yielded once per effort."""
    ids = np.arange(len(vectors), dtype=np.int64)
    yield "exact", 0, build_index(vectors, ids, IndexConfig(flat_until=len(vectors)))
    inverted = build_index(vectors, ids, IndexConfig(flat_until=0, seed=seed))
    cells = faiss.extract_index_ivf(inverted.faiss_index)
    for n_probe in N_PROBES:
        if n_probe <= cells.nlist:
            cells.nprobe = n_probe
            yield "inverted file", n_probe, inverted
    graph = faiss.IndexHNSWFlat(vectors.shape[1], HNSW_LINKS, faiss.METRIC_INNER_PRODUCT)
    graph.add(vectors)
    for ef in EF_SEARCHES:
        graph.hnsw.efSearch = ef
        yield "graph", ef, ItemIndex(faiss_index=graph, item_ids=ids)


def _query_times(index: ItemIndex, queries: Float32s, clock: Clock) -> list[float]:
    """Seconds of each query, run one at a time."""
    index.search(queries[:1], K)  # the first query also loads the index into the caches
    seconds = []
    for at in range(len(queries)):
        start = clock()
        index.search(queries[at : at + 1], K)
        seconds.append(clock() - start)
    return seconds


def _sampled(rows: Float32s, most: int, rng: np.random.Generator) -> Float32s:
    if len(rows) <= most:
        return np.ascontiguousarray(rows)
    return np.ascontiguousarray(rows[np.sort(rng.choice(len(rows), most, replace=False))])
