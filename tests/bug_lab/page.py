"""Write the table of docs/bug_lab.md from the declared faults.

Usage:
    python -m tests.bug_lab.page  # write it
"""

from benchmarks.generated import settle, text_table, written
from tests.bug_lab.fault import PITFALLS
from tests.bug_lab.faults import FAULTS
from tests.source_edits import REPOSITORY, name_of

PAGE = REPOSITORY / "docs" / "bug_lab.md"


def page() -> str:
    """The page as it should be."""
    return written(PAGE.read_text(encoding="utf-8"), {"faults": table()}, "tests.bug_lab.page")


def table() -> str:
    """A row for every fault, in the order of the pitfalls."""
    rows = [
        [
            str(fault.number),
            PITFALLS[fault.number],
            f"{fault.what} (`{name_of(fault.where)}` in `{fault.file}`)",
            ", ".join(f"`{function_of(test)}`" for test in fault.tests),
        ]
        for fault in FAULTS
    ]
    return text_table(["number", "pitfall", "injected fault", "test that fails"], rows)


def function_of(test: str) -> str:
    """The function's name in a node id."""
    return test.partition("::")[2].partition("[")[0]


if __name__ == "__main__":
    settle({PAGE: page()}, check=False)
