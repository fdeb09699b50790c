"""The benchmarks' own helpers do what they say; the long ones are run by hand."""

from pathlib import Path

import pytest

from benchmarks import seeds
from benchmarks.generated import found, markers, settle, written
from benchmarks.load_definitions import load_costs
from benchmarks.processes import cost_of
from benchmarks.seeds import table
from benchmarks.spread import spread_of


def test_the_median_of_runs_is_shown_with_its_ends() -> None:
    assert str(spread_of([4.0, 1.0, 2.0, 9.0])) == "3.00 (1.00 to 9.00, n=4)"


def test_a_generated_part_replaces_what_stood_there_and_nothing_else() -> None:
    begin, end = markers("sum", "x")
    text = f"before\n{begin}\nold\n{end}\nafter"
    new = written(text, {"sum": "new"}, "x")
    assert new == f"before\n{begin}\nnew\n{end}\nafter"
    assert found(new, "sum", "x") == "new"
    assert written(new, {"sum": "new"}, "x") == new


@pytest.mark.parametrize("damage", ["", "{end}\n{begin}", "{begin}", "{begin}\n{end}\n{begin}\n{end}"])
def test_damaged_markers_are_refused(damage: str) -> None:
    begin, end = markers("sum", "x")
    with pytest.raises(ValueError, match="restore the markers"):
        written(damage.format(begin=begin, end=end), {"sum": "new"}, "x")


def test_a_check_writes_nothing(tmp_path: Path) -> None:
    same, other = tmp_path / "same", tmp_path / "other"
    same.write_text("a")
    other.write_text("a")
    assert settle({same: "a", other: "b"}, check=True) == [other]
    assert other.read_text() == "a"
    assert settle({same: "a", other: "b"}, check=False) == [other]
    assert other.read_text() == "b"


def test_a_table_of_seeds_ends_with_mean_and_deviation() -> None:
    made = table([{"ndcg": 0.1}, {"ndcg": 0.3}], [17, 18])
    assert made.splitlines()[-1] == "| ndcg | 0.1000 | 0.3000 | 0.2000 | 0.1414 |"


def test_loading_is_timed_in_a_fresh_interpreter() -> None:
    (cost,) = load_costs("pass", 1)
    assert 0 < cost.cpu_s < cost.wall_s + 1
    assert cost.peak_gb > 0.001  # no upper bound: the peak counts what this process of pytest holds


def test_a_process_that_fails_is_no_measurement() -> None:
    with pytest.raises(RuntimeError, match="failed"):
        cost_of(["-c", "raise SystemExit(3)"])


def test_the_spread_over_seeds_is_taken_over_three_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(seeds, "figures", lambda tables, seed: asked.append(seed) or {"ndcg": 0.1})
    monkeypatch.setattr(seeds.Tables, "load", lambda root: None)
    seeds.main([])
    assert len(set(asked)) >= 3
