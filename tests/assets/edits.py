"""Everything that can change, each with what must follow from it: the table behind `test_minimal_rerun`.

A row says by hand what the plan must call certain, in its words, and what must be made in the end. What may follow is
everything below that. All rows start from the project `lived_in`, which has ingested a day of clicks and keeps an older
`training_reference`.
"""

import ast
import importlib.metadata
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import yaml

from recsys_core.feedback.records import Event
from tests.assets.observing import make_by_hand, restore_another
from tests.assets.projects import DATA_SET, Project
from tests.assets.test_monitoring import CLOSED_DAY, log_answers
from tests.assets.test_planning import below, click, rating, write_log

DAY, NEXT_DAY = "interactions/2016-10-18", "interactions/2016-10-19"
ROOT = "ROOT"
"""In the plan's words: the folder of the project."""

HEAD = "interaction_log_head"
CLICKS = [click("a"), click("b", item=2)]
"""The log of `lived_in`, all of one day."""

Reasons = Mapping[str, list[str]]


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One change to `lived_in`, and what must follow."""

    what: str  # in the words of the docs
    make: Callable[[Project], None]
    certain: Reasons = field(default_factory=dict)  # what the plan must say before, without what is to be waited for
    built: set[str] = field(default_factory=set)  # what must be made
    ui_knows: bool = True  # whether Dagster's pages mark it before anybody tells them
    slow: bool = False


def live_in(project: Project) -> None:
    """Two refreshes of a built project."""
    write_log(project, CLICKS)
    change(project, "training_reference", n_bins=40)
    project.refresh()
    change(project, "training_reference", n_bins=50)
    project.refresh()


def change(project: Project, asset: str, **values: object) -> None:
    """Write settings of an asset into the settings file."""
    settings = yaml.safe_load(project.settings.read_text())
    settings[asset] = settings.get(asset, {}) | values
    project.settings.write_text(yaml.safe_dump(settings))


def setting(asset: str, **values: object) -> Callable[[Project], None]:
    return lambda project: change(project, asset, **values)


def log(*events: Event) -> Callable[[Project], None]:
    return lambda project: write_log(project, list(events))


def by_hand(asset: str, day: str = "", **config: object) -> Callable[[Project], None]:
    return lambda project: _succeed(project, make_by_hand, asset, day, json.dumps(config))


def body(module: str, old: str, new: str) -> Callable[[Project], None]:
    return lambda project: project.edit(module, old, new)


def both(*edits: Callable[[Project], None]) -> Callable[[Project], None]:
    def make(project: Project) -> None:
        for edit in edits:
            edit(project)

    return make


def _succeed(project: Project, function: Callable[..., None], *arguments: str) -> None:
    answer = project.call(function, *arguments)
    assert answer.code == 0, answer.err


def rewrite(how: Callable[[str], str]) -> Callable[[Project], None]:
    """Every module of the project, written anew."""

    def make(project: Project) -> None:
        for path in project.source.rglob("*.py"):
            path.write_text(how(path.read_text(encoding="utf-8")), encoding="utf-8")

    return make


def other_docstrings(text: str) -> str:
    """A sentence more in every docstring."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            first = node.body[0]
            assert isinstance(first, ast.Expr)
            first.value = ast.Constant(f"{ast.get_docstring(node)}\n\nAnd more.")
    return ast.unparse(tree)


def more_comments(text: str) -> str:
    """A comment behind every line that ends a statement at the margin, and at both ends."""
    ends = {node.end_lineno for node in ast.parse(text).body}
    lines = [f"{line}  # so" if number in ends else line for number, line in enumerate(text.splitlines(), start=1)]
    return "\n".join(["# first", *lines, "# last", ""])


def other_formatting(text: str) -> str:
    """As Python itself would write it: other quotes, breaks and blank lines, and no comments."""
    return ast.unparse(ast.parse(text))


def install(distribution: str, version: str) -> Callable[[Project], None]:
    """What pip leaves of another version; the code of the library stays, for it must do the same."""

    def make(project: Project) -> None:
        folder = project.source / f"{distribution.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")

    return make


def corrupt(project: Project) -> None:
    """One byte of an array."""
    file = project.folder("item_embeddings") / "vectors.npy"
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-1] + b"?")


def delete(project: Project) -> None:
    """All versions of an artifact, and its pointer."""
    folder = project.lake / "artifacts" / "item_embeddings"
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


def roll_back(project: Project) -> None:
    """The pointer of an artifact to its other version."""
    _succeed(project, restore_another, "training_reference")


def data_set(n_ratings: int | None = None) -> Callable[[Project], None]:
    """The shipped data in another file; the first ratings alone, or all with a file more that nobody reads."""

    def make(project: Project) -> None:
        mine = project.root / "mine.zip"
        with zipfile.ZipFile(project.lake / "raw" / DATA_SET) as old, zipfile.ZipFile(mine, "w") as new:
            for name in old.namelist():
                lines = old.read(name).splitlines(keepends=True)
                shortened = n_ratings is not None and name.endswith("ratings.csv")
                new.writestr(name, b"".join(lines[: n_ratings + 1] if n_ratings and shortened else lines))
            new.writestr("ml-latest-small/more.txt", "more")
        change(project, "raw_data", dataset=str(mine))

    return make


def answers(project: Project) -> None:
    """What a service shows and logs."""
    _succeed(project, log_answers, CLOSED_DAY, "5", "0")


def on_next_day(event: Event) -> Event:
    """The event as it arrives a day later; when it happened stays."""
    return replace(event, received_at=event.received_at + 86_400)


def build(project: Project) -> None:
    """Refresh, as somebody would between two edits."""
    assert project.refresh()


OTHER_DATA = f'parameters changed: dataset: "ml-latest-small-2016" -> "{ROOT}/mine.zip"'
CODE = ["code changed"]
MERGING = body(
    "recsys_core/data/merging.py", "    latest = every_rating(", "    logged = logged\n    latest = every_rating("
)
READING_DAYS = body(
    "recsys_core/feedback/interactions.py",
    "    start = start_of(day)\n    rows",
    "    day = day\n    start = start_of(day)\n    rows",
)
FILE = "recsys_assets/assets/retrieval.py"
DEPS = ('@versioned_asset(deps=["item_embeddings"],', '@versioned_asset(deps=["item_embeddings", "movies"],')
READ = (
    'ItemEmbeddings.load(run.folder("item_embeddings"))',
    '[ItemEmbeddings.load(run.folder("item_embeddings")), run.folder("movies")][0]',
)
READING = both(body(FILE, *DEPS), body(FILE, *READ))
NOT_READING = both(body(FILE, *reversed(DEPS)), body(FILE, *reversed(READ)))
NEW_FAISS = f'libraries changed: faiss-cpu: "{importlib.metadata.version("faiss-cpu")}" -> "99.0"'
READ_BY_FAISS = {"faiss_index", "retrieval_report", "eval_report", "past_requests", "parity_report"}

EDITS = [
    Edit(what="docstrings", make=rewrite(other_docstrings)),
    Edit(what="comments", make=rewrite(more_comments)),
    Edit(what="formatting", make=rewrite(other_formatting)),
    Edit(
        what="a function in a module that several assets share, to the same effect",
        make=MERGING,
        certain=dict.fromkeys(["ratings", "past_requests", "parity_report"], CODE),
        built={"ratings", "past_requests", "parity_report"},
    ),
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
        make=setting("training_reference", n_bins=60),
        certain={"training_reference": ["parameters changed: n_bins: 50 -> 60"]},
        built={"training_reference", "drift_report"},
    ),
    Edit(
        what="a parameter, far above",
        make=setting("ranker", n_rounds=11),
        certain={"ranker": ["parameters changed: n_rounds: 10 -> 11"]},
        built={"ranker"} | below("ranker"),
        slow=True,
    ),
    Edit(
        what="the version of a library",
        make=install("faiss-cpu", "99.0"),
        certain={name: [NEW_FAISS] for name in READ_BY_FAISS},
        built=READ_BY_FAISS,
        slow=True,
    ),
    Edit(
        what="a new day of clicks",
        make=log(*CLICKS, on_next_day(click("c"))),
        certain={NEXT_DAY: ["missing"], HEAD: [f"input {NEXT_DAY} added"]},
        built={NEXT_DAY, HEAD},
    ),
    Edit(
        what="late ratings: of years ago, arrived on a new day",
        make=log(*CLICKS, on_next_day(replace(rating("late"), timestamp=1_300_000_000))),
        certain={NEXT_DAY: ["missing"], HEAD: [f"input {NEXT_DAY} added"]},
        built={NEXT_DAY, HEAD} | below(HEAD),
        slow=True,
    ),
    Edit(what="the log of an old day, delivered again in another order", make=log(*reversed(CLICKS), CLICKS[0])),
    Edit(
        what="the log of an old day, with more in it",
        make=log(*CLICKS, click("c", item=3)),
        certain={DAY: [f"input log/{DAY[-10:]} changed"]},
        built={DAY, HEAD},
    ),
    Edit(
        what="the log of an old day, gone",
        make=log(),
        certain={DAY: [f"input log/{DAY[-10:]} changed"]},
        built={DAY, HEAD},
    ),
    Edit(what="an old day ingested again, to the same bytes", make=by_hand("interactions", DAY[-10:])),
    Edit(
        what="an old day ingested again, to other bytes",
        make=both(log(*CLICKS, click("c", item=3)), by_hand("interactions", DAY[-10:])),
        certain={HEAD: [f"input {DAY} changed"]},
        built={HEAD},
    ),
    Edit(
        what="answers of a service, logged on a closed day",
        make=answers,
        certain={name: ["input served changed"] for name in ("parity_report", "drift_report")},
        built={"parity_report", "drift_report"},
        slow=True,
    ),
    Edit(
        what="a corrupted artifact",
        make=corrupt,
        certain={"item_embeddings": ["damaged"]},
        built={"item_embeddings"},
    ),
    Edit(
        what="a deleted artifact",
        make=delete,
        certain={"item_embeddings": ["missing"]},
        built={"item_embeddings"},
    ),
    Edit(what="an asset made again by hand, to the same bytes", make=by_hand("item_embeddings")),
    Edit(
        what="an asset made by hand with other settings",
        make=by_hand("training_reference", n_bins=60),
        certain={"training_reference": ["parameters changed: n_bins: 60 -> 50"]},
        built={"training_reference"},
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
        certain={"training_reference": ["parameters changed: n_bins: 40 -> 50"]},
        built={"training_reference"},
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
        slow=True,
    ),
    Edit(
        what="two edits at once, in two places",
        make=both(setting("faiss_index", n_probe=9), setting("training_reference", n_bins=60), corrupt),
        certain={
            "faiss_index": ["parameters changed: n_probe: 32 -> 9"],
            "training_reference": ["parameters changed: n_bins: 50 -> 60"],
            "item_embeddings": ["damaged"],
        },
        built={"faiss_index", "training_reference", "drift_report", "item_embeddings"},
    ),
    Edit(
        what="two edits at once, to one asset",
        make=both(setting("faiss_index", n_probe=9), READING),
        certain={"faiss_index": ["parameters changed: n_probe: 32 -> 9", "code changed", "input movies added"]},
        built={"faiss_index"},
    ),
]
"""Every kind of edit."""
