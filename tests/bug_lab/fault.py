"""What a fault is: a change of one place in the sources, and the tests that must notice it."""

from dataclasses import dataclass
from pathlib import Path

from tests.source_edits import edit, file_of


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One way to make a well-known mistake here."""

    number: int  # of the pitfall, a key of PITFALLS
    what: str  # the fault in words
    where: object  # the definition that is changed, as `source_edits.edit` takes it
    before: str  # stands there exactly once, however it is formatted
    after: str
    tests: tuple[str, ...]  # node ids; each of them goes red
    escapes: str = ""  # the exception, none of ours, that the fault lets through: its name

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
    6: "The ranker is judged on its candidates alone",
    7: "Metrics over sampled items",
    8: "A metric drifts from its definition",
    9: "Users without recommendations leave the mean",
    10: "Constant or tied scores look good",
    11: "Baselines are not tuned",
    12: "A model below popularity is shown",
    13: "The logQ correction has a wrong sign or a wrong q",
    14: "Accidental hits among the negatives of a batch",
    15: "The correction is applied when serving too",
    16: "Training and search measure differently",
    17: "The index silently finds too little",
    18: "Index and query tower are of different builds",
    19: "Ids shift against rows between builds",
    22: "A column is dropped, moved or changes its unit",
    23: "Negatives contain positives, or are easy ones only",
    24: "The construction of negatives gives the label away",
    25: "Tuned or stopped by the test",
    26: "Seen items are filtered in one path only",
    27: "Figures without uncertainty",
    28: "A good mean hides a slice that is served badly",
    29: "The list that is shown is not the one that was ranked",
    30: "Items compete before anybody has rated them",
    31: "What serves stopped learning before the data ended",
    32: "The order of ids passes for an order in time",
    33: "What cannot be used is dropped without a word",
    34: "A new item is judged by noise, or never shown",
    35: "Which of equal scores are found depends on how many are asked for",
    36: "What was acknowledged is lost, and what is left looks whole",
    37: "A guard forbids what it knows, instead of allowing it",
    38: "A check fails itself on what it is to refuse",
    39: "A limit holds for each layer, and not for what comes out in the end",
}
"""Well-known ways to fool oneself; what is not numbered here is guarded by the machinery of assets and serving."""
