"""A scenario: who is there, for how long, from which seed. Frozen, checked when made, read from nothing.

``configs/scenarios/*.yaml`` hold such maps; whoever reads files gives them to :func:`from_map`.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from stillwatch.errors import SettingsError
from stillwatch.simulator.conversation import Banned, World, nobody
from stillwatch.simulator.crowds import Agents, Classroom
from stillwatch.simulator.group import Group
from stillwatch.simulator.identity import Market
from stillwatch.simulator.population import People, Team
from stillwatch.simulator.programs import Batch, Ci
from stillwatch.simulator.relay import Campaign
from stillwatch.simulator.reseller import Reseller
from stillwatch.simulator.rhythm import HOUR_S
from stillwatch.simulator.services import Evaluation, Gateway, Saas
from stillwatch.simulator.texts import TextSource
from stillwatch.simulator.timing import FITTED, Arrivals

AnyGroup = Annotated[
    People | Team | Agents | Classroom | Saas | Gateway | Reseller | Evaluation | Batch | Ci | Campaign,
    Field(discriminator="kind"),
]
KINDS: Final[dict[str, type[Group]]] = {
    "people": People,
    "team": Team,
    "agents": Agents,
    "classroom": Classroom,
    "saas": Saas,
    "gateway": Gateway,
    "reseller": Reseller,
    "evaluation": Evaluation,
    "batch": Batch,
    "ci": Ci,
    "campaign": Campaign,
}


class Recorded(BaseModel):
    """Arrival times from a file that the caller reads: a trace of a service, or windows of single clients."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    trace: str | None = None
    windows: str | None = None
    unit: Literal["s", "ms"] = "s"  # of a trace's times, where they are numbers

    @model_validator(mode="after")
    def _one_of_them(self) -> Recorded:
        if (self.trace is None) == (self.windows is None):
            raise ValueError("give one of trace and windows: the path of a CSV file")
        return self


class Scenario(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 7
    # Monday 3 March 2025, midnight UTC. In the past, so that no stream takes a replay for events of the future.
    start_unix_s: Annotated[int, Field(ge=1_000_000_000, le=4_000_000_000)] = 1_740_960_000
    days: Annotated[int, Field(ge=1, le=366)]
    # Hours from the start at which a new model comes out; honest accounts adopt it over weeks.
    release_at_h: Annotated[float, Field(ge=0)] | None = None
    arrivals: Recorded | None = None
    groups: tuple[AnyGroup, ...]

    @model_validator(mode="after")
    def _groups_can_be_told_apart(self) -> Scenario:
        if not self.groups:
            raise ValueError("there are no groups: a scenario needs at least one")
        names = [group.name for group in self.parties]
        if len(set(names)) != len(names):
            raise ValueError("two groups have the same name: their accounts would be the same")
        return self

    @property
    def parties(self) -> list[Group]:
        """The groups, one for each copy: ``team-1``, ``team-2``, …"""
        return [party for group in self.groups for party in group.expanded()]

    def world(
        self, arrivals: Arrivals = FITTED, pool_texts: TextSource | None = None, banned: Banned = nobody
    ) -> World:
        release_s = math.inf if self.release_at_h is None else self.release_at_h * HOUR_S
        market = Market(self.seed)
        return World(self.seed, self.start_unix_s, self.days, market, release_s, arrivals, pool_texts, banned)

    def scaled(self, factor: float) -> Scenario:
        """The same rates per account, more or fewer accounts. Groups that can not be divided stay one group."""
        return self.model_copy(update={"groups": tuple(group.scaled(factor) for group in self.groups)})


def merged(base: Mapping[str, Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    """A scenario that extends another: its keys replace the other's, its groups change those of the same name.

    >>> merged({"days": 1, "groups": [{"name": "a", "count": 1}]}, {"groups": [{"name": "a", "count": 2}, {"name": "b"}]})
    {'days': 1, 'groups': [{'name': 'a', 'count': 2}, {'name': 'b'}]}
    """
    groups: dict[object, Any] = {}
    for place, group in enumerate([*_groups(base), *_groups(raw)]):
        if isinstance(group, Mapping) and group.get("name") is not None:
            groups[group["name"]] = {**groups.get(group["name"], {}), **group}
        else:
            groups[place] = group  # wrong, and named as such when the scenario is checked
    return {**base, **{key: value for key, value in raw.items() if key != "extends"}, "groups": list(groups.values())}


def _groups(raw: Mapping[str, Any]) -> list[Any]:
    found = raw.get("groups", [])
    return found if isinstance(found, list) else [found]


def from_map(raw: Mapping[str, Any]) -> Scenario:
    """Raises :class:`~stillwatch.errors.SettingsError` that names the key and what to write instead."""
    try:
        return Scenario.model_validate(raw)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        first = problems[0]
        problem = "unknown key" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
        more = f" (the first of {len(problems)} problems)" if len(problems) > 1 else ""
        raise SettingsError(_key(first), problem[0].lower() + problem[1:] + more, _remedy(first)) from error


def _key(problem: ErrorDetails) -> str:
    """`groups.3.cover_share`; pydantic puts the discriminator's value in between."""
    path = [str(part) for part in problem["loc"]]
    if len(path) > 2 and path[0] == "groups" and path[2] in KINDS:
        del path[2]
    return ".".join(path) or "scenario"


def _remedy(problem: ErrorDetails) -> str:
    path = problem["loc"]
    if problem["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return f"Set kind to one of {', '.join(KINDS)}"
    if problem["type"] == "extra_forbidden":
        model = KINDS.get(str(path[2]), Scenario) if len(path) > 2 else Scenario
        known = sorted(model.model_fields)
        close = difflib.get_close_matches(str(path[-1]), known, n=1)
        return f"Did you mean {close[0]}?" if close else f"Known keys: {', '.join(known)}"
    if problem["type"] == "missing":
        return "Add this key"
    return "See docs/simulator.md for the keys and their ranges"
