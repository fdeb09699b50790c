"""The lake: every artifact, immutable and named by its content.

`store` is the interface; `staleness` compares the stored artifacts with the artifacts that today's code would make. The
package knows nothing of recommenders and imports nothing heavy, so that any process can read the state of the lake.
"""

from recsys_core.lake.garbage_collection import Freed, GcReport
from recsys_core.lake.manifest import FileEntry, Lineage, Manifest
from recsys_core.lake.store import Lake

__all__ = ["FileEntry", "Freed", "GcReport", "Lake", "Lineage", "Manifest"]
