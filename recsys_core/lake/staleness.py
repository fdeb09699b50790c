"""Plan which artifacts must be rebuilt, and why: compare the lake with what today's code would make of today's inputs.

A pure planner. A refresh repeats: plan, make `next_wave`, plan again, until nothing is stale. Between two waves a
rebuilt input may turn out to have the same content as before. The artifacts below it are then not stale after all, and
are left alone (early cut-off).

The guarantee: a refresh makes every artifact that the plan calls certain, none that it calls fresh, and of those that
wait only the ones whose inputs came out different.
"""

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

from pydantic import JsonValue

from recsys_core.errors import ArtifactError
from recsys_core.lake.manifest import Lineage, Manifest, finite

State = Manifest | ArtifactError | None
"""State of an artifact, as `Lake.survey` returns it: its manifest, its damage, or None where it was never made."""


CodeVersion = Callable[[Mapping[str, JsonValue], Mapping[str, str]], str]
"""(parameters, libraries) -> the code version that today's source has with them."""


PARAMETERS_CHANGED, LIBRARIES_CHANGED = "parameters changed: ", "libraries changed: "
"""Beginnings of the causes that name settings and libraries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """An artifact as the code would make it now; `name` is "asset" or "asset/partition"."""

    name: str
    code_version: str
    parents: tuple[str, ...] = ()
    parameters: Mapping[str, JsonValue] | None = None  # None: not compared, the code version may hold them
    libraries: Mapping[str, str] | None = None  # None: likewise
    version_of: CodeVersion | None = None  # the code version with other parameters and libraries


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The planner's verdict on one artifact: fresh where it has neither causes nor an artifact to wait for."""

    name: str
    inputs: Mapping[str, str | None] = field(default_factory=dict)  # present versions; None: missing or damaged
    causes: tuple[str, ...] = ()  # why it must certainly be rebuilt, in words
    waits_for: tuple[str, ...] = ()  # the nearest certain ancestors, whose new content decides
    unsettled: tuple[str, ...] = ()  # inputs that differ from the version read, but are stale themselves

    @property
    def reasons(self) -> list[str]:
        """Why it is stale, in words for people; empty if it is fresh."""
        waiting = dict.fromkeys([*self.waits_for, *self.unsettled])
        return [*self.causes, *(f"waits for: {name}{self._note(name)}" for name in waiting)]

    @property
    def changed_parameters(self) -> str:
        """The settings that have changed since it was made, such as "dim: 64 -> 32"; "" where none have."""
        told = (one.removeprefix(PARAMETERS_CHANGED) for one in self.causes if one.startswith(PARAMETERS_CHANGED))
        return next(told, "")

    @property
    def is_certain(self) -> bool:
        """Whether it must be rebuilt whatever its ancestors turn out to be."""
        return bool(self.causes)

    @property
    def is_stale(self) -> bool:
        """Whether it must be rebuilt, or may have to be."""
        return bool(self.causes or self.waits_for)

    def _note(self, name: str) -> str:
        return " (has changed, may change back)" if name in self.unsettled else ""


MOST_NAMED = 3
"""Partitions of one asset that are named one by one where a plan is shown."""

_OF_A_PARTITION = re.compile(r"(?P<before>.* )?(?P<asset>[^ /]+)/(?P<partition>[^ ]+)(?P<after> .*)?")


def in_short(reasons: Sequence[str]) -> str:
    """Reasons in one line. Many partitions of one asset with the same reason are named by their first and last.

    >>> in_short([f"input log/{day} changed" for day in range(1, 6)] + ["code changed"])
    'input log/1 to 5 changed (5 of them); code changed'
    """
    alike: dict[tuple[str, str], list[str]] = {}
    for reason in reasons:
        found = _OF_A_PARTITION.fullmatch(reason)
        around = (f"{found['before'] or ''}{found['asset']}/", found["after"] or "") if found else (reason, "")
        alike.setdefault(around, []).append(found["partition"] if found else "")
    told = []
    for (before, after), partitions in alike.items():
        if len(partitions) <= MOST_NAMED:
            told += [f"{before}{one}{after}" for one in partitions]
        else:
            told.append(f"{before}{partitions[0]} to {partitions[-1]}{after} ({len(partitions)} of them)")
    return "; ".join(told)


Plan = dict[str, Verdict]
"""A verdict for each artifact, parents before children."""


def plan(nodes: Iterable[Node], current: Mapping[str, State], raw: Mapping[str, str]) -> Plan:
    """Judge every artifact.

    Args:
        nodes: The artifacts of the project, in any order.
        current: The state of each one; an absent name was never made.
        raw: The present version of each input from outside the lake.

    Raises:
        ArtifactError: The parents form a cycle, or one of them is neither an artifact nor a raw input.
    """
    by_name = {node.name: node for node in nodes}
    verdicts: Plan = {}
    for name in _parents_first(by_name, raw):
        node, state = by_name[name], current.get(name)
        inputs = {parent: _version(parent, current, raw) for parent in node.parents}
        stale = {parent for parent in node.parents if parent in verdicts and verdicts[parent].is_stale}
        verdicts[name] = Verdict(
            name=name,
            inputs=inputs,
            causes=tuple(_causes(node, state, inputs, stale)),
            waits_for=_nearest_certain(node, verdicts),
            unsettled=tuple(sorted(stale.intersection(_changed_inputs(state, inputs)))),
        )
    return verdicts


def next_wave(verdicts: Plan, unproven: Collection[str] = ()) -> list[str]:
    """The artifacts to make now, parents first: certain ones whose stale ancestors are all certain too.

    An artifact below an undecided one waits for a later wave, even if it is certain itself. Otherwise it might be made
    twice, first from an input that is replaced right afterwards. Empty only when nothing is stale, or when every stale
    artifact is below an unproven one.

    Args:
        verdicts: of `plan`.
        unproven: fresh artifacts that nothing may be made from.
    """
    wave: list[str] = []
    blocked = set(unproven)
    for name, verdict in verdicts.items():
        stale_parents = [parent for parent in verdict.inputs if parent in verdicts and verdicts[parent].is_stale]
        if not blocked.isdisjoint(verdict.inputs):
            blocked.add(name)
        elif verdict.is_certain and all(parent in wave for parent in stale_parents):
            wave.append(name)
    return wave


def _parents_first(by_name: Mapping[str, Node], raw: Mapping[str, str]) -> list[str]:
    for node in by_name.values():
        unknown = [parent for parent in node.parents if parent not in by_name and parent not in raw]
        if unknown:
            raise ArtifactError(f"{node.name} reads {', '.join(unknown)}: neither an artifact nor a raw input")
    graph = {name: [parent for parent in node.parents if parent in by_name] for name, node in by_name.items()}
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise ArtifactError(f"artifacts read each other in a cycle: {' -> '.join(error.args[1])}") from error


def _version(name: str, current: Mapping[str, State], raw: Mapping[str, str]) -> str | None:
    """The present version of an input; None while it is missing or damaged."""
    state = current.get(name)
    return state.version if isinstance(state, Manifest) else raw.get(name)


def _causes(node: Node, state: State, inputs: Mapping[str, str | None], stale: Collection[str]) -> list[str]:
    if state is None:
        return ["missing"]
    if isinstance(state, ArtifactError):
        return ["damaged"]
    made, read = state.lineage, state.lineage.inputs
    settings = {
        PARAMETERS_CHANGED: _differences(made.parameters, node.parameters),
        LIBRARIES_CHANGED: _differences(made.libraries, node.libraries),
    }
    found = [f"{what}{differences}" for what, differences in settings.items() if differences]
    if _code_changed(node, made, settings_changed=bool(found)):
        found.append("code changed")
    of_inputs = {
        "added": [name for name in inputs if name not in read],
        "removed": [name for name in read if name not in inputs],
        # A stale input is rebuilt first, and may come out with the version that was read.
        "changed": [name for name in _changed_inputs(state, inputs) if name not in stale],
    }
    return [*found, *(f"input {name} {what}" for what, names in of_inputs.items() for name in names)]


def _changed_inputs(state: State, inputs: Mapping[str, str | None]) -> list[str]:
    """The inputs whose present version differs from the version read; a missing input is no change yet."""
    read = state.lineage.inputs if isinstance(state, Manifest) else {}
    return [name for name, version in inputs.items() if version is not None and read.get(name, version) != version]


def _code_changed(node: Node, made: Lineage, *, settings_changed: bool) -> bool:
    """Whether the code itself differs.

    A code version also hashes parameters and libraries. Where these changed, today's code is compared with the old
    parameters and libraries; without `version_of`, the settings explain the difference.
    """
    if not settings_changed:
        return node.code_version != made.code_version
    return node.version_of is not None and node.version_of(made.parameters, made.libraries) != made.code_version


def _differences(before: Mapping[str, JsonValue], now: Mapping[str, JsonValue] | None) -> str:
    """The entries that differ, such as "x: 1 -> 2"; "" where none do, or where they are not compared."""
    if now is None:
        return ""
    names = sorted(name for name in {*before, *now} if _as_json(before, name) != _as_json(now, name))
    return ", ".join(f"{name}: {_as_json(before, name)} -> {_as_json(now, name)}" for name in names)


def _as_json(values: Mapping[str, JsonValue], name: str) -> str:
    # As JSON, so that 1, 1.0 and true differ, which Python holds equal, and the order of keys does not count.
    return json.dumps(finite(values[name]), sort_keys=True) if name in values else "(none)"


def _nearest_certain(node: Node, verdicts: Plan) -> tuple[str, ...]:
    found: dict[str, None] = {}  # as an ordered set
    for parent in node.parents:
        verdict = verdicts.get(parent)
        if verdict is not None:
            found |= dict.fromkeys([parent] if verdict.is_certain else verdict.waits_for)
    return tuple(found)
