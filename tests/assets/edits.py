"""Ways to change a project, each as a function of it: what lies under the table of `test_minimal_rerun`."""

import ast
import json
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import yaml

from recsys_core.data.ratings_table import every_rating, merge_ratings
from recsys_core.feedback.interactions import read_day
from recsys_core.feedback.records import Event
from recsys_core.metrics.ranked_lists import sets_of
from tests.assets.observing import make_by_hand, restore_another
from tests.assets.projects import DATA_SET, Project
from tests.assets.refresh.test_planner import skip, write_log
from tests.assets.test_monitoring import CLOSED_DAY, log_answers

DAY, NEXT_DAY = "interactions/2016-10-18", "interactions/2016-10-19"
HEAD = "interaction_log_head"
SKIPS = [skip("a"), skip("b", item=2)]
"""The log of `lived_in`, all of one day."""


def live_in(project: Project) -> None:
    """Two refreshes of a built project."""
    write_log(project, SKIPS)
    change(project, "past_requests", k=8)
    project.refresh()
    change(project, "past_requests", k=10)
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


def accept_loss(project: Project) -> None:
    """Say that what the log has lost is in order."""
    answer = project.recsys("log", "accept-loss")
    assert answer.code == 0, answer.err


def by_hand(asset: str, day: str = "", **config: object) -> Callable[[Project], None]:
    return lambda project: _succeed(project, make_by_hand, asset, day, json.dumps(config))


def body(where: object, before: str, after: str) -> Callable[[Project], None]:
    return lambda project: project.edit(where, before, after)


def of_the_index(before: str, after: str) -> Callable[[Project], None]:
    """A change of the asset `faiss_index`, which is imported late: processes that load this module need no assets."""

    def make(project: Project) -> None:
        from recsys_assets.assets.retrieval import faiss_index

        project.edit(faiss_index, before, after)

    return make


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


def delete(artifact: str) -> Callable[[Project], None]:
    """All versions of an artifact, and its pointer."""

    def make(project: Project) -> None:
        folder = project.lake / "artifacts" / artifact
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        folder.rmdir()

    return make


def roll_back(project: Project) -> None:
    """The pointer of an artifact to its other version."""
    _succeed(project, restore_another, "past_requests")


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


WEEK = 604_800
OPEN_AT = int(time.time()) - 3 * 86_400
OPEN_DAY = datetime.fromtimestamp(OPEN_AT, UTC).date().isoformat()
OPEN = replace(skip("open"), timestamp=OPEN_AT, received_at=OPEN_AT)
"""An event of a day that is over, but within the grace of a week."""

MERGING = body(every_rating, before="pl.lit(None, pl.String)", after="pl.lit(None, dtype=pl.String)")
LATEST = body(
    merge_ratings,
    before="return MERGED_RATINGS.validate(latest)",
    after="latest = latest\nreturn MERGED_RATINGS.validate(latest)",
)
UNUSED = body(sets_of, before="np.cumsum([0, *(len(items) for items in sets)], dtype=np.int64)", after="np.zeros(1)")
READING_DAYS = body(read_day, before="start = start_of(day)", after="day = day\nstart = start_of(day)")
DEPS = ('["item_embeddings"]', '["item_embeddings", "movies"]')
READ = (
    'ItemEmbeddings.load(run.folder("item_embeddings"))',
    '[ItemEmbeddings.load(run.folder("item_embeddings")), run.folder("movies")][0]',
)
DECLARING_MOVIES = of_the_index(*DEPS)
READING = both(DECLARING_MOVIES, of_the_index(*READ))
NOT_READING = both(of_the_index(*reversed(DEPS)), of_the_index(*reversed(READ)))
