"""Predicted = executed = expected, for every kind of edit, by the command line, the UI, the event log and the lake."""

import re
from pathlib import Path

import pytest

from tests.assets.edits import EDITS, HEAD, ROOT, Edit, live_in
from tests.assets.observing import Said, see
from tests.assets.projects import Project
from tests.assets.test_planning import PARENTS, below
from tests.conftest import Built

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


@pytest.fixture(scope="session")
def lived_in(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a past. Read it, do not change it."""
    assert built.first.code == 0, built.first.err
    project = built.project.copy(tmp_path_factory.mktemp("lived_in"))
    live_in(project)
    return project


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
    "edit", [pytest.param(one, marks=[pytest.mark.slow] if one.slow else [], id=one.what) for one in EDITS]
)
def test_what_is_made_after_an_edit_is_what_was_foretold_and_what_must_be(project: Project, edit: Edit) -> None:
    edit.make(project)
    seen = see(project)
    certain, built = set(edit.certain), edit.built
    assert causes(seen.plan) == {name: expected_words(why, project) for name, why in edit.certain.items()}
    assert seen.plan.keys() == certain | follows(certain)
    assert set(seen.materialized) == seen.published == set(seen.said) == built
    assert len(seen.materialized) == len(built), "each once"
    assert certain <= built <= seen.plan.keys()
    assert seen.plan_after == {}
    assert seen.shown == seen.plan, "the job `plan` shows the same in the UI"
    assert seen.ui_told == in_the_words_of_the_ui(seen.plan)
    assert seen.ui == (seen.ui_told if edit.ui_knows else {})
    assert seen.ui_after == {}
