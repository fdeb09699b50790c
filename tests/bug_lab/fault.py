"""A fault: a change of one place in the sources, and the tests that must fail."""

from dataclasses import dataclass
from pathlib import Path

from tests.source_edits import edit, file_of


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One way to make a well-known mistake here."""

    number: int  # of the pitfall, a key of PITFALLS
    what: str  # the fault in words
    where: object  # the definition that is changed, as `source_edits.edit` takes it
    before: str  # occurs there exactly once, in any format
    after: str
    tests: tuple[str, ...]  # node ids; each of them fails
    escapes: str = ""  # name of the exception, not one of ours, that the fault lets through

    def inject(self, root: Path) -> str:
        """Put the fault into the copy of the sources below `root`; returns the text as it was."""
        return edit(root, self.where, self.before, self.after)

    @property
    def file(self) -> str:
        """The source file that is changed, relative to the root."""
        return file_of(self.where)

    @property
    def name(self) -> str:
        """A short name for the list of test results."""
        return f"{self.number}-{self.what.replace(' ', '_')}"


PITFALLS = {
    1: "A random or per-user split leaks the future",
    2: "Features look ahead",
    3: "Events of the same second are included",
    4: "A user's history contains the target",
    5: "The candidate stage leaks into the ranker",
    6: "The ranker is evaluated on its candidates alone",
    7: "Metrics over sampled items",
    8: "A metric deviates from its definition",
    9: "Users without recommendations are dropped from the mean",
    10: "Constant or tied scores look good",
    11: "Baselines are not tuned",
    12: "A model worse than popularity is shipped",
    13: "The logQ correction has a wrong sign or a wrong q",
    14: "Accidental hits among the negatives of a batch",
    15: "The correction is also applied in serving",
    16: "Training and search use different similarities",
    17: "The index silently finds too little",
    18: "Index and query tower are of different builds",
    19: "Ids and rows of different builds are mixed",
    22: "A column is dropped, moved or changes its unit",
    23: "Negatives contain positives, or are easy ones only",
    24: "The construction of negatives reveals the label",
    25: "Tuning or early stopping uses the test",
    26: "Seen items are filtered in one path only",
    27: "Metrics without intervals",
    28: "A good mean hides a bad segment",
    29: "The list that is shown is not the one that was ranked",
    30: "Items compete before anybody has rated them",
    31: "The serving model lacks the latest data",
    32: "The order of ids is read as an order in time",
    33: "Unusable input is dropped silently",
    34: "A new item is scored by noise, or never shown",
    35: "The choice among equal scores depends on k",
    36: "Acknowledged rows are lost, and the rest looks complete",
    37: "A guard uses a denylist instead of an allowlist",
    38: "A check crashes on the input that it should refuse",
    39: "A limit holds per layer, not for the final output",
}
"""Well-known mistakes; the tests of assets and serving cover the missing numbers."""
