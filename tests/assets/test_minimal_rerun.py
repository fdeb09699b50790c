"""What is made after an edit is what was foretold and what must be, and the UI agrees: for every kind of edit.

A row of the table says by hand what the plan must call certain, in its words, and what must be made in the end; what
may follow is everything below that. All rows start from a project that has ingested a day of skips and keeps an older
`past_requests`.
"""

import importlib.metadata
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.assets.edits import (
    DAY,
    HEAD,
    LATEST,
    MERGING,
    NEXT_DAY,
    NOT_READING,
    OPEN,
    OPEN_DAY,
    READING,
    READING_DAYS,
    SKIPS,
    UNUSED,
    WEEK,
    accept_loss,
    answers,
    both,
    build,
    by_hand,
    corrupt,
    data_set,
    delete,
    install,
    live_in,
    log,
    more_comments,
    on_next_day,
    other_docstrings,
    other_formatting,
    rewrite,
    roll_back,
    setting,
)
from tests.assets.observing import Said, see
from tests.assets.projects import Project
from tests.assets.refresh.test_planner import PARENTS, below, rating, skip
from tests.conftest import Built, Once
from tests.source_edits import REPOSITORY

WAITS = "waits for: "

ASSET = f"({'|'.join(PARENTS)})"
IN_THE_UI = {
    "(?:code|parameters|libraries) changed(?:: .*)?": "has a new code version",
    f"input {ASSET} changed": r"\1 has a new data version",
    rf"waits for: {ASSET} \(has changed, may change back\)": r"\1 has a new data version",
    f"input {ASSET} added": r"has a new dependency on \1",
    f"input {ASSET} removed": r"removed dependency on \1",
}
"""What the plan says of an artifact -> what the UI says of it. The UI has no words for anything else."""


Reasons = Mapping[str, list[str]]


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One change to `lived_in`, and what must follow."""

    what: str  # in the words of the docs
    make: Callable[[Project], None]
    certain: Reasons = field(default_factory=dict)  # what the plan must say before, without what is to be waited for
    built: set[str] = field(default_factory=set)  # what must be made
    ui_knows: bool = True  # whether Dagster's pages mark it before anybody tells them


ROOT = "ROOT"
"""In the words of a row: the folder of the project."""

OTHER_DATA = f'parameters changed: dataset: "ml-latest-small-2016" -> "{ROOT}/mine.zip"'
CODE = ["code changed"]
NEW_FAISS = f'libraries changed: faiss-cpu: "{importlib.metadata.version("faiss-cpu")}" -> "99.0"'
READ_BY_FAISS = {"faiss_index", "retrieval_report", "eval_report", "past_requests", "parity_report"}

QUICK = {
    "a function beside it, which one asset alone uses",
    "a function that no asset uses, in a module that five use",
    "a parameter, to no effect on the bytes",
    "a deleted artifact",
    "an asset made again by hand, to the same bytes",
    "a dependency added to an asset",
}
"""One edit of each kind, for the quick tests."""

EDITS = [
    Edit(what="docstrings", make=rewrite(other_docstrings)),
    Edit(what="comments", make=rewrite(more_comments)),
    Edit(what="formatting", make=rewrite(other_formatting)),
    Edit(
        what="a function that several assets share, to the same effect",
        make=MERGING,
        certain=dict.fromkeys(["ratings", "past_requests", "parity_report"], CODE),
        built={"ratings", "past_requests", "parity_report"},
    ),
    Edit(
        what="a function beside it, which one asset alone uses",
        make=LATEST,
        certain={"ratings": CODE},
        built={"ratings"},
    ),
    Edit(what="a function that no asset uses, in a module that five use", make=UNUSED),
    Edit(
        what="how a day of the log is read, to the same effect",
        make=READING_DAYS,
        certain={DAY: CODE},
        built={DAY},
    ),
    Edit(
        what="a parameter, to no effect on the bytes",
        make=setting("faiss_index", n_probe=9),
        certain={"faiss_index": ["parameters changed: n_probe: 32 -> 9"]},
        built={"faiss_index"},
    ),
    Edit(
        what="a parameter, to other bytes",
        make=setting("past_requests", k=9),
        certain={"past_requests": ["parameters changed: k: 10 -> 9"]},
        built={"past_requests", "parity_report"},
    ),
    Edit(
        what="a parameter, far above",
        make=setting("ranker", n_rounds=11),
        certain={"ranker": ["parameters changed: n_rounds: 10 -> 11"]},
        built={"ranker"} | below("ranker"),
    ),
    Edit(
        what="a parameter, changed and changed back",
        make=both(setting("past_requests", k=9), setting("past_requests", k=10)),
    ),
    Edit(
        what="a parameter, set back to what it was some refreshes ago",
        make=setting("past_requests", k=8),
        certain={"past_requests": ["parameters changed: k: 10 -> 8"]},
        built={"past_requests", "parity_report"},
    ),
    Edit(
        what="the version of a library",
        make=install("faiss-cpu", "99.0"),
        certain={name: [NEW_FAISS] for name in READ_BY_FAISS},
        built=READ_BY_FAISS,
    ),
    Edit(
        what="a new day of skips",
        make=log(*SKIPS, on_next_day(skip("c"))),
        certain={NEXT_DAY: ["missing"], HEAD: [f"input {NEXT_DAY} added"]},
        built={NEXT_DAY, HEAD},
    ),
    Edit(
        what="late ratings: of years ago, arrived on a new day",
        make=log(*SKIPS, on_next_day(replace(rating("late"), timestamp=1_300_000_000))),
        certain={NEXT_DAY: ["missing"], HEAD: [f"input {NEXT_DAY} added"]},
        built={NEXT_DAY, HEAD} | below(HEAD),
    ),
    Edit(what="the log of an old day, delivered again in another order", make=log(*reversed(SKIPS), SKIPS[0])),
    Edit(
        what="the log of an old day, with more in it",
        make=log(*SKIPS, skip("c", item=3)),
        certain={DAY: [f"input log/{DAY[-10:]} changed"]},
        built={DAY, HEAD},
    ),
    Edit(
        what="the log of an old day, gone, and the loss accepted",
        make=both(log(), accept_loss),
        certain={DAY: [f"input log/{DAY[-10:]} changed"]},
        built={DAY, HEAD},
    ),
    Edit(
        what="an old day lost, its log and what was made of it",
        make=both(log(), delete(DAY)),
        certain={HEAD: [f"input {DAY} removed"]},
        built={HEAD},
    ),
    Edit(
        what="a day ingested by hand before it is closed, and more in the log of an old day",
        make=both(
            setting("interactions", grace_s=WEEK),
            build,
            log(*SKIPS, skip("c"), OPEN),
            by_hand("interactions", OPEN_DAY),
        ),
        certain={DAY: [f"input log/{DAY[-10:]} changed"]},
        built={DAY, HEAD},
    ),
    Edit(what="an old day ingested again, to the same bytes", make=by_hand("interactions", DAY[-10:])),
    Edit(
        what="an old day ingested again, to other bytes",
        make=both(log(*SKIPS, skip("c", item=3)), by_hand("interactions", DAY[-10:])),
        certain={HEAD: [f"input {DAY} changed"]},
        built={HEAD},
    ),
    Edit(
        what="answers of a service, logged on a closed day",
        make=answers,
        certain={
            "parity_report": ["input served changed"],
            "drift_report": ["input served changed"],
            "impression_outcomes": ["input shown changed"],
        },
        # Nobody answered, so that what was shown teaches no order: the examples come out the same.
        built={"parity_report", "drift_report", "impression_outcomes", "implicit_feedback", "ranking_examples"},
    ),
    Edit(
        what="a corrupted artifact",
        make=corrupt,
        certain={"item_embeddings": ["damaged"]},
        built={"item_embeddings"},
    ),
    Edit(
        what="a corrupted artifact, below one that may change and does not",
        make=both(MERGING, corrupt),
        certain=dict.fromkeys(["ratings", "past_requests", "parity_report"], CODE) | {"item_embeddings": ["damaged"]},
        built={"ratings", "past_requests", "parity_report", "item_embeddings"},
    ),
    Edit(
        what="a deleted artifact",
        make=delete("item_embeddings"),
        certain={"item_embeddings": ["missing"]},
        built={"item_embeddings"},
    ),
    Edit(what="an asset made again by hand, to the same bytes", make=by_hand("item_embeddings")),
    Edit(
        what="an asset made by hand with other settings",
        make=by_hand("past_requests", k=9),
        certain={"past_requests": ["parameters changed: k: 9 -> 10"]},
        built={"past_requests"},
    ),
    Edit(
        what="a dependency added to an asset",
        make=READING,
        certain={"faiss_index": ["code changed", "input movies added"]},
        built={"faiss_index"},
    ),
    Edit(
        what="a dependency taken from an asset",
        make=both(READING, build, NOT_READING),
        certain={"faiss_index": ["code changed", "input movies removed"]},
        built={"faiss_index"},
    ),
    Edit(
        what="an artifact rolled back: its pointer set to an older version",
        make=roll_back,
        certain={"past_requests": ["parameters changed: k: 8 -> 10"]},
        built={"past_requests"},
        ui_knows=False,
    ),
    Edit(
        what="another data set with the same movies and ratings",
        make=data_set(),
        certain={"raw_data": [OTHER_DATA, "input source changed"]},
        built={"raw_data", "movies", "base_ratings"},
    ),
    Edit(
        what="another data set",
        make=data_set(n_ratings=60_000),
        certain={"raw_data": [OTHER_DATA, "input source changed"]},
        built={"raw_data"} | below("raw_data"),
    ),
    Edit(
        what="two edits at once, in two places",
        make=both(setting("faiss_index", n_probe=9), setting("drift_report", alpha=0.1), corrupt),
        certain={
            "faiss_index": ["parameters changed: n_probe: 32 -> 9"],
            "drift_report": ["parameters changed: alpha: 0.05 -> 0.1"],
            "item_embeddings": ["damaged"],
        },
        built={"faiss_index", "drift_report", "item_embeddings"},
    ),
    Edit(
        what="two edits at once, to one asset",
        make=both(setting("faiss_index", n_probe=9), READING),
        certain={"faiss_index": ["parameters changed: n_probe: 32 -> 9", "code changed", "input movies added"]},
        built={"faiss_index"},
    ),
]
"""Every kind of edit."""


@pytest.fixture(scope="session")
def lived_in(built: Built, once: Once) -> Project:
    """A project with a past. Read it, do not change it."""
    assert built.first.code == 0, built.first.err

    def live(root: Path) -> str:
        live_in(built.project.copy(root))
        return ""

    return Project(root=once("lived_in", live)[0])


@pytest.fixture
def project(lived_in: Project, tmp_path: Path) -> Project:
    """A copy of the project with a past, to do anything to."""
    return lived_in.copy(tmp_path / "project")


def causes(plan: Said) -> Said:
    """Why artifacts will certainly be made, whatever comes out above them."""
    found = {name: [one for one in reasons if not one.startswith(WAITS)] for name, reasons in plan.items()}
    return {name: sorted(reasons) for name, reasons in found.items() if reasons}


def expected_words(why: list[str], project: Project) -> list[str]:
    return sorted(one.replace(ROOT, str(project.root)) for one in why)


def follows(names: set[str]) -> set[str]:
    """What lies below artifacts, of which some may be days of the log."""
    heads = {HEAD for name in names if "/" in name}
    return below(*names, *heads) | heads


def in_the_words_of_the_ui(plan: Said) -> Said:
    """What the UI must mark where the plan is this."""
    translated = {
        name: {
            re.sub(ours, theirs, reason)
            for reason in reasons
            for ours, theirs in IN_THE_UI.items()
            if re.fullmatch(ours, reason)
        }
        for name, reasons in plan.items()
    }
    return {name: sorted(words) for name, words in translated.items() if words}


@pytest.mark.parametrize(
    "edit", [pytest.param(one, marks=[] if one.what in QUICK else [pytest.mark.slow], id=one.what) for one in EDITS]
)
def test_what_is_made_after_an_edit_is_what_was_foretold_and_what_must_be(project: Project, edit: Edit) -> None:
    edit.make(project)
    seen = see(project)
    certain, built = set(edit.certain), edit.built
    assert causes(seen.plan) == {name: expected_words(why, project) for name, why in edit.certain.items()}
    assert seen.plan.keys() == certain | follows(certain)
    assert set(seen.materialized) == seen.published == set(seen.said) == built
    assert len(seen.materialized) == len(built), "each once"
    assert seen.reported == [], "each run told Dagster all by itself"
    assert certain <= built <= seen.plan.keys()
    assert seen.plan_after == {}
    assert seen.shown == seen.plan, "the job `plan` shows the same in the UI"
    assert seen.ui_told == in_the_words_of_the_ui(seen.plan)
    assert seen.ui == (seen.ui_told if edit.ui_knows else {})
    assert seen.ui_after == {}


def docs_table() -> str:
    """What follows from each edit, for the docs."""
    lines = ["| Edit | The plan is certain of | The UI says | Rebuilt |", "| --- | --- | --- | --- |"]
    for edit in EDITS:
        marks = in_the_words_of_the_ui(edit.certain) if edit.ui_knows else {}
        cells = [edit.what, by_reasons(edit.certain), by_reasons(marks), listed(edit.built)]
        lines.append(f"| {' | '.join(cell or 'nothing' for cell in cells)} |")
    return "\n".join(lines)


def by_reasons(said: Mapping[str, list[str]]) -> str:
    """The artifacts of which the same is said, together; without what stands behind a colon."""
    found: dict[str, list[str]] = {}
    for name, reasons in said.items():
        found.setdefault(", ".join(one.partition(":")[0] for one in reasons), []).append(name)
    return "; ".join(f"{listed(names)}: {words}" for words, names in found.items())


def listed(names: Iterable[str]) -> str:
    known = sorted(names)
    return ", ".join(f"`{name}`" for name in known) if len(known) <= 5 else f"{len(known)} assets"


def test_the_docs_show_what_follows_from_each_edit() -> None:
    table = docs_table()
    assert table in (REPOSITORY / "docs" / "dagster.md").read_text(encoding="utf-8"), table
