"""The aggregator's state for its snapshot: what it knows of accounts, groups and campaigns, and what was done about them.

Which attributes of which parts are state stands here in one table, beside those that are not: what is wired at the start, and
what is made anew when it is needed. A test compares the table with the objects: an attribute that nobody thought of fails it.
What indicators others sent is not here: it has a store of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from stillwatch.aggregator import AggregatorCore
from stillwatch.decisions import Decider
from stillwatch.errors import SnapshotIncompatible
from stillwatch.frozen import freeze, thaw
from stillwatch.gate import TickGate

# Raise it when the meaning of a part changes and not its attributes; an older one is then refused.
AGGREGATOR_SCHEMA: Final = 2


@dataclass(frozen=True, slots=True)
class Attributes:
    """``wired``: as a new part has it (what it was given, and memories that begin empty). ``passing``: becomes ``None`` at a
    restore, and is made again when it is asked for."""

    state: frozenset[str]
    wired: frozenset[str]
    passing: frozenset[str] = frozenset()


def _of(state: str, wired: str = "", passing: str = "") -> Attributes:
    return Attributes(frozenset(state.split()), frozenset(wired.split()), frozenset(passing.split()))


ATTRIBUTES: Final[dict[str, Attributes]] = {
    "core": _of(
        "evaluations last_seen_unix_nano _now",
        "_settings _links table _handoffs _normality _known _docket exchange _mixtures _ordinary_mixtures _neighbours",
    ),
    "table": _of(
        "_slot_of _names _fields _cells _free _conversations _conduct _window_from _unit _verified _created_s _evidence "
        "_models _first_use_s _seen_s _failures _refused _last_seen _events _by_name _new evicted",
        "_max_accounts _links asked _units_of _units_kept", "_in_organisation",
    ),
    "asked": _of("_packed _first_hour _halvings"),
    "links": _of("_number _keys _accounts _free _values", "find max_group", "_by_slot _by_value _inviters"),
    "handoffs": _of("_begun _failed _calls _settled_ms _pairs _before _counted dropped", "_era_ms"),
    "normality": _of("_measured", "_table _links _settings _formed"),
    "known": _of("_by_id", "_table _max_campaigns"),
    "docket": _of("_tested_at _waiting _turn _strong _found _weights _lent _era tests", "_level"),
    "mixtures": _of("_sought_at _sought_with _found", "_wanted _fewest _seed"),
    "neighbours": _of("_found", "_per_member"),
    # The never-act list is read before every decision; what later lives did, from the revocations when a life begins.
    "decider": _of("_acted", "_policy _config_sha256 _blast never_act _known _freed"),
    "blast": _of("_recent _expires_s", "_limits"),
}  # fmt: skip


def parts(core: AggregatorCore, decider: Decider) -> dict[str, Any]:
    """By the names of :data:`ATTRIBUTES`."""
    return {
        "core": core, "table": core.table, "asked": core.table.asked, "links": core._links, "handoffs": core._handoffs, "normality": core._normality,
        "known": core._known, "docket": core._docket, "mixtures": core._mixtures, "neighbours": core._neighbours,
        "decider": decider, "blast": decider._blast,
    }  # fmt: skip


def snapshot(core: AggregatorCore, decider: Decider, gate: dict[str, Any], memory: str) -> bytes:
    """Between two evaluations. ``gate``: its state; ``memory``: the name of what is known, which the next life goes on with."""
    state = {
        name: {attribute: getattr(part, attribute) for attribute in sorted(ATTRIBUTES[name].state)}
        for name, part in parts(core, decider).items()
    }
    return freeze({"memory": memory, "gate": gate, "parts": state})


def restore(raw: bytes, core: AggregatorCore, decider: Decider, gate: TickGate) -> str:
    """Into parts that are new. The memory's name. Raises :class:`SnapshotIncompatible`."""
    body = thaw(raw)
    for name, part in parts(core, decider).items():
        found, wanted = body["parts"].get(name, {}), ATTRIBUTES[name]
        if found.keys() != wanted.state:
            said = (", ".join(sorted(names)) for names in (found, wanted.state))
            raise SnapshotIncompatible(f"the aggregator's {name}", *said)
        for attribute, value in found.items():
            setattr(part, attribute, value)
        for attribute in wanted.passing:
            setattr(part, attribute, None)
    gate.restore(body["gate"])
    return str(body["memory"])
