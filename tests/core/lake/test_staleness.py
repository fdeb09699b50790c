"""The planner finds what must be made again, no more and no less."""

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.errors import ArtifactError
from recsys_core.lake import Lineage, Manifest
from recsys_core.lake.staleness import Node, State, next_wave, plan

RAW = {"archive": "z1"}


def made(node: Node, version: str, inputs: dict[str, str], **changes: object) -> Manifest:
    """The manifest of an artifact that was made as the node says, the changes excepted."""
    how = {"code_version": node.code_version, "parameters": dict(node.parameters or {}), "inputs": inputs}
    lineage = Lineage.model_validate({**how, "libraries": dict(node.libraries or {}), **changes})
    return Manifest(
        asset=node.name, partition=None, version=version, files={}, lineage=lineage, made_at=0.0, duration_s=0.0
    )


RATINGS = Node(name="ratings", code_version="c", parents=("archive",))
FEATURES = Node(name="features", code_version="c", parents=("ratings",), parameters={"x": 1, "names": ["a"]})
TOWER = Node(name="tower", code_version="c", parents=("ratings",), libraries={"torch": "2.6"})
REPORT = Node(name="report", code_version="c", parents=("features", "tower"))
DIAMOND = (REPORT, TOWER, FEATURES, RATINGS)  # children first: the order given must not matter


def fresh() -> dict[str, State]:
    return {
        "ratings": made(RATINGS, "r1", {"archive": "z1"}),
        "features": made(FEATURES, "f1", {"ratings": "r1"}),
        "tower": made(TOWER, "t1", {"ratings": "r1"}),
        "report": made(REPORT, "p1", {"features": "f1", "tower": "t1"}),
    }


def reasons(current: dict[str, State], raw: dict[str, str] = RAW, nodes: tuple[Node, ...] = DIAMOND) -> dict:
    return {name: verdict.reasons for name, verdict in plan(nodes, current, raw).items() if verdict.reasons}


def wave(current: dict[str, State], raw: dict[str, str] = RAW, nodes: tuple[Node, ...] = DIAMOND) -> list[str]:
    return next_wave(plan(nodes, current, raw))


def test_nothing_is_stale_when_all_is_as_made() -> None:
    assert reasons(fresh()) == {}
    assert wave(fresh()) == []


def test_an_empty_lake_is_made_in_one_wave_parents_first() -> None:
    order = wave({})
    assert sorted(order) == ["features", "ratings", "report", "tower"]
    assert order.index("ratings") == 0
    assert order.index("report") == 3
    assert reasons({})["ratings"] == ["missing"]
    assert reasons({})["report"] == ["missing", "waits for: features", "waits for: tower"]


def test_a_changed_input_from_outside_runs_its_reader_and_lets_the_rest_wait() -> None:
    assert reasons(fresh(), {"archive": "z2"}) == {
        "ratings": ["input archive changed"],
        "features": ["waits for: ratings"],
        "tower": ["waits for: ratings"],
        "report": ["waits for: ratings"],
    }
    assert wave(fresh(), {"archive": "z2"}) == ["ratings"]


def test_changed_code_is_named() -> None:
    current = fresh() | {"tower": made(TOWER, "t1", {"ratings": "r1"}, code_version="before")}
    assert reasons(current) == {"tower": ["code changed"], "report": ["waits for: tower"]}


def test_changed_parameters_are_told_with_both_values_and_explain_the_code_version() -> None:
    current = fresh()
    before = {"x": 2, "gone": None}
    current["features"] = made(FEATURES, "f1", {"ratings": "r1"}, code_version="before", parameters=before)
    told = 'parameters changed: gone: null -> (none), names: (none) -> ["a"], x: 2 -> 1'
    assert reasons(current)["features"] == [told]


def test_changed_libraries_are_told() -> None:
    current = fresh() | {"tower": made(TOWER, "t1", {"ratings": "r1"}, libraries={"torch": "2.5"})}
    assert reasons(current)["tower"] == ['libraries changed: torch: "2.5" -> "2.6"']


@pytest.mark.parametrize(("before", "now"), [(1, 1.0), (1, True), (0, False), ("1", 1)])
def test_values_that_python_holds_equal_are_told_apart(before: object, now: object) -> None:
    node = Node(name="a", code_version="c", parameters={"x": now})
    assert reasons({"a": made(node, "v", {}, parameters={"x": before})}, {}, (node,))["a"]


def test_an_undefined_parameter_equals_the_null_that_is_stored() -> None:
    node = Node(name="a", code_version="c", parameters={"x": float("nan")})
    assert reasons({"a": made(node, "v", {})}, {}, (node,)) == {}


def test_damage_is_a_reason_and_the_children_wait() -> None:
    assert reasons(fresh() | {"tower": ArtifactError("broken")}) == {
        "tower": ["damaged"],
        "report": ["waits for: tower"],
    }


def test_a_missing_input_is_no_change_yet() -> None:
    assert reasons(fresh() | {"tower": None}) == {"tower": ["missing"], "report": ["waits for: tower"]}


def test_a_new_input_counts_as_changed() -> None:
    current = fresh() | {"report": made(REPORT, "p1", {"features": "f1"})}
    assert reasons(current) == {"report": ["input tower changed"]}


def test_one_below_an_undecided_one_is_left_for_a_later_wave_even_if_certain() -> None:
    """The report's own code changed, but the features between it and the ratings may change yet."""
    current = fresh() | {"report": made(REPORT, "p1", {"features": "f1", "tower": "t1"}, code_version="before")}
    assert wave(current, {"archive": "z2"}) == ["ratings"]


def test_after_an_identical_rebuild_nothing_further_is_stale() -> None:
    current = fresh() | {"ratings": made(RATINGS, "r1", {"archive": "z2"})}
    assert reasons(current, {"archive": "z2"}) == {}


def test_after_a_different_rebuild_the_next_level_is_certain() -> None:
    current = fresh() | {"ratings": made(RATINGS, "r2", {"archive": "z2"})}
    assert sorted(wave(current, {"archive": "z2"})) == ["features", "tower"]
    assert reasons(current, {"archive": "z2"})["report"] == ["waits for: features", "waits for: tower"]


def test_a_ring_and_an_unknown_parent_are_refused() -> None:
    ring = (Node(name="a", code_version="c", parents=("b",)), Node(name="b", code_version="c", parents=("a",)))
    with pytest.raises(ArtifactError, match="ring"):
        plan(ring, {}, {})
    with pytest.raises(ArtifactError, match="reads archive"):
        plan(DIAMOND, {}, {})


def refreshed(nodes: list[Node], current: dict[str, State], raw: dict[str, str], build: Callable) -> list[list[str]]:
    """The loop that the command line runs: the waves until nothing is stale."""
    waves = []
    while names := next_wave(plan(nodes, current, raw)):
        waves.append(names)
        for name in names:
            node = next(node for node in nodes if node.name == name)
            inputs = {parent: raw.get(parent) or current[parent].version for parent in node.parents}
            current[name] = made(node, build(node, inputs), inputs)
        assert len(waves) <= len(nodes)
    assert not any(verdict.is_stale for verdict in plan(nodes, current, raw).values())
    return waves


@given(st.data())
def test_waves_reach_a_fixed_point_make_nothing_twice_and_equal_a_build_from_nothing(data: st.DataObject) -> None:
    """Random graphs, random changes, and builds that forget much of their input, so that early cut-off happens."""
    n = data.draw(st.integers(1, 7))
    names = [f"a{i}" for i in range(n)]
    parents = [data.draw(st.lists(st.sampled_from(["archive", *names[:i]]), unique=True)) for i in range(n)]
    coarse = data.draw(st.integers(1, 4))

    def build(node: Node, inputs: dict[str, str]) -> str:
        return f"v{sum(map(ord, node.code_version + ''.join(inputs.values()))) % coarse}"

    def nodes(codes: list[str]) -> list[Node]:
        return [Node(name=names[i], code_version=codes[i], parents=tuple(parents[i])) for i in range(n)]

    current: dict[str, State] = {}
    assert len(refreshed(nodes(["c"] * n), current, {"archive": "z"}, build)) == 1
    codes = data.draw(st.lists(st.sampled_from("cd"), min_size=n, max_size=n))
    raw = {"archive": data.draw(st.sampled_from("yz"))}
    built = list(itertools.chain(*refreshed(nodes(codes), current, raw, build)))
    assert len(built) == len(set(built))
    scratch: dict[str, State] = {}
    refreshed(nodes(codes), scratch, raw, build)
    assert {name: state.version for name, state in current.items()} == {
        name: state.version for name, state in scratch.items()
    }
