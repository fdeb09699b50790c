"""The lake: where every artifact is kept, immutable and named by its content.

`store` is the way in; `staleness` compares what is stored with what the code would make. Knows nothing of recommenders
and imports nothing heavy, so that any process can ask what is there.
"""

from recsys_core.lake.collection import Freed, GcReport
from recsys_core.lake.manifest import FileEntry, Lineage, Manifest
from recsys_core.lake.store import Lake

__all__ = ["FileEntry", "Freed", "GcReport", "Lake", "Lineage", "Manifest"]
