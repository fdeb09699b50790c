"""Every well-known pitfall, made on purpose: the named test must go red, and be green without the fault."""

import ast
from collections.abc import Iterator

import pytest

from tests.bug_lab.fault import PITFALLS, Fault
from tests.bug_lab.faults import FAULTS
from tests.bug_lab.laboratory import Laboratory, of_test
from tests.bug_lab.page import PAGE, page
from tests.source_edits import REPOSITORY, edited

RED = {"AssertionError", "Failed", "DataError", "ArtifactError"}
"""What a test may stop with to count as red: its own words, `pytest.raises` unsatisfied, or a refusal of ours. An
import that fails, a name that is missing, a shape that does not fit would say that the patch is nonsense. A fault that
lets an exception through says which."""


@pytest.fixture(scope="session")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    with Laboratory.opened(tmp_path_factory.mktemp("bug_lab")) as opened:
        yield opened


@pytest.mark.slow
def test_every_named_test_is_green_without_a_fault(laboratory: Laboratory) -> None:
    named = sorted({test for fault in FAULTS for test in fault.tests})
    outcomes = laboratory.run(named)
    assert not {node: stopped for node, stopped in outcomes.items() if stopped}, laboratory.log()
    assert not [test for test in named if not of_test(outcomes, test)]


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_turns_its_tests_red(laboratory: Laboratory, fault: Fault) -> None:
    with laboratory.patched(fault):
        outcomes = laboratory.run(fault.tests)
    for test in fault.tests:
        stopped = set(of_test(outcomes, test)) - {""}
        assert stopped, f"{test} does not notice: {fault.what}\n{laboratory.log()}"
        red = {fault.escapes} if fault.escapes else RED
        assert stopped <= red, f"{test} fails for another reason: {stopped}\n{laboratory.log()}"


def test_a_fault_has_its_place_in_the_sources_and_leaves_them_python() -> None:
    misplaced = []
    for fault in FAULTS:
        text = (REPOSITORY / fault.file).read_text(encoding="utf-8")
        try:
            faulty = edited(text, fault.where, fault.before, fault.after)
        except AssertionError as reason:
            misplaced.append(f"{fault.name}: {reason}")
            continue
        if ast.dump(ast.parse(faulty)) == ast.dump(ast.parse(text)):
            misplaced.append(f"{fault.name} changes nothing")
    assert misplaced == []


def test_every_named_test_exists() -> None:
    """Its file and its function; that its cases exist too is seen when they are run."""
    named = sorted({test.partition("[")[0].partition("::")[::2] for fault in FAULTS for test in fault.tests})
    trees = {file: ast.parse((REPOSITORY / file).read_text(encoding="utf-8")) for file, _ in named}
    there = {
        (file, node.name) for file, tree in trees.items() for node in tree.body if isinstance(node, ast.FunctionDef)
    }
    assert [one for one in named if one not in there] == []


def test_every_pitfall_has_a_fault() -> None:
    assert {fault.number for fault in FAULTS} == PITFALLS.keys()
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


def test_the_page_shows_every_fault() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.bug_lab.page"
