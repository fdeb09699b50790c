"""The trade-off of other indexes over the same vectors: recall against the time of a query.

It answers whether exact search is still the right choice for a catalogue of this size, and where an inverted file or a
graph would overtake it. Times differ between machines and runs: show them, never store them.
"""

from collections.abc import Callable, Iterator

import faiss
import numpy as np
import polars as pl

from recsys_core.arrays import Float32s
from recsys_core.retrieval.config import IndexConfig
from recsys_core.retrieval.index import ItemIndex, build_index, index_recall
from recsys_core.seeding import child

Clock = Callable[[], float]
"""Seconds that only ever rise, such as `time.perf_counter`."""

N_PROBES = (1, 2, 4, 8, 16, 32)
EF_SEARCHES = (16, 32, 64, 128, 256)
HNSW_LINKS = 32
K = 100

MOST_ITEMS = 20_000
"""Larger catalogues are sampled: a graph over 20,000 vectors is built within seconds, one over a million is not."""

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
    """Kind, effort and index; one index is yielded again and again with more effort."""
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
    """Seconds of each query by itself."""
    index.search(queries[:1], K)  # the first one also fetches the index into the processor's caches
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
