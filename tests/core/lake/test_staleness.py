"""The planner finds what must be made again, no more and no less."""

import itertools
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.errors import ArtifactError
from recsys_core.lake import Lineage, Manifest
from recsys_core.lake.staleness import Node, State, in_short, next_wave, plan

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


def test_changed_code_is_told_beside_changed_parameters_where_it_can_be_told() -> None:
    def version_of(source: str) -> Callable[[Mapping, Mapping], str]:
        return lambda parameters, libraries: f"{source} {sorted(parameters.items())} {sorted(libraries.items())}"

    def node(source: str, x: int, torch: str) -> Node:
        of, parameters, libraries = version_of(source), {"x": x}, {"torch": torch}
        return Node(
            name="a", code_version=of(parameters, libraries), parameters=parameters, libraries=libraries, version_of=of
        )

    def told(before: Node, now: Node) -> list[str]:
        return reasons({"a": made(before, "v", {})}, {}, (now,)).get("a", [])

    parameters, libraries = "parameters changed: x: 1 -> 2", 'libraries changed: torch: "2.5" -> "2.6"'
    assert told(node("old", 1, "2.5"), node("old", 1, "2.5")) == []
    assert told(node("old", 1, "2.5"), node("new", 1, "2.5")) == ["code changed"]
    assert told(node("old", 1, "2.5"), node("old", 2, "2.6")) == [parameters, libraries]
    assert told(node("old", 1, "2.5"), node("new", 2, "2.5")) == [parameters, "code changed"]
    assert told(node("old", 1, "2.5"), node("new", 1, "2.6")) == [libraries, "code changed"]


def test_an_added_and_a_removed_input_are_told_whatever_they_hold() -> None:
    current = fresh() | {"report": made(REPORT, "p1", {"features": "f1", "gone": "g1"})}
    assert reasons(current) == {"report": ["input tower added", "input gone removed"]}
    missing = reasons(current | {"tower": None})
    assert missing["report"] == ["input tower added", "input gone removed", "waits for: tower"]


def rolled_back() -> dict[str, State]:
    """The tower is an older one, of other code; the report was made from the newer."""
    return fresh() | {"tower": made(TOWER, "t0", {"ratings": "r1"}, code_version="before")}


def test_a_change_that_may_be_undone_is_waited_for() -> None:
    """The tower is made again, perhaps as the report read it: so the report is not certain."""
    assert reasons(rolled_back()) == {
        "tower": ["code changed"],
        "report": ["waits for: tower (has changed, may change back)"],
    }
    assert wave(rolled_back()) == ["tower"]
    assert reasons(rolled_back() | {"tower": made(TOWER, "t1", {"ratings": "r1"})}) == {}
    assert wave(rolled_back() | {"tower": made(TOWER, "t2", {"ratings": "r1"})}) == ["report"]


def test_a_changed_input_that_waits_itself_is_waited_for_by_name() -> None:
    current = fresh() | {"tower": made(TOWER, "t0", {"ratings": "r1"})}
    assert reasons(current) == {"report": ["input tower changed"]}
    assert reasons(current, {"archive": "z2"})["report"] == [
        "waits for: ratings",
        "waits for: tower (has changed, may change back)",
    ]


def test_one_below_an_undecided_one_is_left_for_a_later_wave_even_if_certain() -> None:
    """The report's own code changed, but the features between it and the ratings may change yet."""
    current = fresh() | {"report": made(REPORT, "p1", {"features": "f1", "tower": "t1"}, code_version="before")}
    assert wave(current, {"archive": "z2"}) == ["ratings"]


def test_what_lies_below_something_unproven_waits_and_all_else_is_made() -> None:
    found = plan(DIAMOND, fresh() | {"tower": None, "report": None}, RAW)
    assert next_wave(found) == ["tower", "report"]
    assert next_wave(found, {"features"}) == ["tower"]
    assert next_wave(found, {"ratings"}) == [], "not through something that waits itself either"


def test_after_an_identical_rebuild_nothing_further_is_stale() -> None:
    current = fresh() | {"ratings": made(RATINGS, "r1", {"archive": "z2"})}
    assert reasons(current, {"archive": "z2"}) == {}


def test_after_a_different_rebuild_the_next_level_is_certain() -> None:
    current = fresh() | {"ratings": made(RATINGS, "r2", {"archive": "z2"})}
    assert sorted(wave(current, {"archive": "z2"})) == ["features", "tower"]
    assert reasons(current, {"archive": "z2"})["report"] == ["waits for: features", "waits for: tower"]


def test_a_cycle_and_an_unknown_parent_are_refused() -> None:
    ring = (Node(name="a", code_version="c", parents=("b",)), Node(name="b", code_version="c", parents=("a",)))
    with pytest.raises(ArtifactError, match="in a cycle"):
        plan(ring, {}, {})
    with pytest.raises(ArtifactError, match="reads archive"):
        plan(DIAMOND, {}, {})


def refreshed(nodes: list[Node], raw: dict[str, str], build: Callable, current: dict[str, State]) -> list[list[str]]:
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


NAMES = [f"a{i}" for i in range(6)]


@st.composite
def worlds(draw: st.DrawFn, n: int) -> tuple[list[Node], dict[str, str]]:
    """N artifacts with some code and some parents, and the source that they start from."""
    nodes = [
        Node(
            name=NAMES[i],
            code_version=draw(st.sampled_from("cd")),
            parents=tuple(draw(st.lists(st.sampled_from(["archive", *NAMES[:i]]), unique=True))),
        )
        for i in range(n)
    ]
    return nodes, {"archive": draw(st.sampled_from("yz"))}


@given(st.data())
def test_just_what_differs_in_the_end_is_made_once_and_the_plan_foretells_it(data: st.DataObject) -> None:
    """Random graphs, changes of code, edges and source, losses, damage and rollbacks; builds that forget much.

    "Differs": the artifact was missing or damaged, or its code or an input is in the end another than it was made from.
    """
    n, coarse = data.draw(st.integers(1, len(NAMES))), data.draw(st.integers(1, 4))

    def build(node: Node, inputs: dict[str, str]) -> str:
        return f"v{sum(map(ord, node.code_version + ''.join(inputs.values()))) % coarse}"

    current: dict[str, State] = {}
    shelves: dict[str, list[State]] = {name: [None, ArtifactError("damaged")] for name in NAMES[:n]}
    for _ in range(data.draw(st.integers(1, 3))):
        refreshed(*data.draw(worlds(n)), build, current)
        for name, state in current.items():
            shelves[name].append(state)
    found = {name: data.draw(st.sampled_from([current[name]] * 6 + shelves[name])) for name in NAMES[:n]}
    nodes, raw = data.draw(worlds(n))

    first, after = plan(nodes, found, raw), dict(found)
    built = list(itertools.chain(*refreshed(nodes, raw, build, after)))
    assert len(built) == len(set(built))
    assert set(built) == {node.name for node in nodes if differs(node, found[node.name], after, raw)}
    assert {name for name, verdict in first.items() if verdict.is_certain} <= set(built)
    assert {name for name, verdict in first.items() if verdict.is_stale} >= set(built)
    scratch: dict[str, State] = {}
    refreshed(nodes, raw, build, scratch)
    assert {name: state.version for name, state in after.items()} == {
        name: state.version for name, state in scratch.items()
    }


def differs(node: Node, found: State, after: dict[str, State], raw: dict[str, str]) -> bool:
    """Whether an artifact was not what it is in the end to be."""
    wanted = {parent: raw.get(parent) or after[parent].version for parent in node.parents}
    is_there = isinstance(found, Manifest)
    return not is_there or (found.lineage.code_version, found.lineage.inputs) != (node.code_version, wanted)


def test_a_plan_in_short_names_few_partitions_and_spans_many() -> None:
    days = [f"2017-01-{day:02}" for day in range(1, 31)]
    changed = [f"input interactions/{day} changed" for day in days]
    assert in_short(changed[:3]) == "; ".join(changed[:3])
    assert in_short(["code changed", *changed, "waits for: interactions/2017-02-01"]) == (
        "code changed; input interactions/2017-01-01 to 2017-01-30 changed (30 of them); "
        "waits for: interactions/2017-02-01"
    )
    assert in_short([]) == ""
