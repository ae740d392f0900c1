"""What tests of groups say of honest groups and of a campaign's: the part of `python -m benchmarks.groups --tests`.

Every test is told what is normal by all groups of the moment, the campaigns' among them, as in an evaluation without
any campaign known. A group is the campaign's when most of its accounts are, and honest when none is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from stillwatch.correlation.conduct import STATISTICS
from stillwatch.correlation.equal_volumes import EqualVolumes, equal_volumes, spread
from stillwatch.correlation.finding import Finding
from stillwatch.correlation.moment import COMPARED_CONVERSATIONS, Moment, Normality
from stillwatch.correlation.pivot import Pivot, pivot
from stillwatch.correlation.table import AccountTable, Slots

Test = Callable[[Slots], Finding | None]
_MOSTLY = 0.5
_FEW = 0.1  # of a group's accounts, which do not make it a campaign's
_MIN_KNOWN = 5
_LEVELS = (0.05, 0.01, 0.001)


@dataclass(slots=True)
class Tally:
    """P-values of honest groups by test, over all hours and seeds of one run."""

    honest: dict[str, list[float]] = field(default_factory=dict)

    def lines(self) -> Iterator[str]:
        for name, p_values in sorted(self.honest.items()):
            found = np.array(p_values or [1.0])
            below = ", ".join(f"{(found <= level).sum()} at {level:g}" for level in _LEVELS)
            yield f"{name}: {len(p_values)} tests of honest groups, {below}; lowest {found.min():.1e}"


def tests_of(table: AccountTable, normality: Normality, now_unix_nano: int) -> dict[str, Test]:
    known = table.with_at_least(COMPARED_CONVERSATIONS)
    groups = [slots for _, slots in normality.groups(known)]
    volumes = EqualVolumes.learn(table, groups, now_unix_nano)
    released = Pivot.learn(table, known, groups, now_unix_nano)
    out: dict[str, Test] = {"equal_volumes": lambda slots: equal_volumes(table, slots, volumes)}
    if released is not None:
        out["pivot"] = lambda slots: pivot(table, slots, released)
    return out


def test_lines(
    table: AccountTable, normality: Normality, moment: Moment, campaign_of: Mapping[str, str], tally: Tally
) -> Iterator[str]:
    known = table.with_at_least(COMPARED_CONVERSATIONS)
    groups = [slots for _, slots in normality.groups(known)]
    tests = tests_of(table, normality, moment.now_unix_nano)
    owner = np.array([campaign_of.get(table.summary(int(slot)).account, "") for slot in known])
    owner_of = dict(zip(known.tolist(), owner.tolist(), strict=True))
    owners = [np.array([owner_of[slot] for slot in slots.tolist()]) for slots in groups]
    for name, test in tests.items():
        found = [test(slots) for slots in groups]
        honest = [one.p_value for one, mine in zip(found, owners, strict=True) if one and not (mine != "").any()]
        tally.honest.setdefault(name, []).extend(honest)
        if name == "equal_volumes":
            yield f"        {_dependence(table, moment, groups, owners)}"
        yield f"        {name}: {sum(p <= 0.05 for p in honest)} of {len(honest)} honest groups at 0.05" + (
            f", lowest {min(honest):.1e}" if honest else ""
        )
        for campaign in sorted(set(campaign_of.values())):
            own = sorted(
                (one.p_value, one.sentence)
                for one, mine in zip(found, owners, strict=True)
                if one and (mine == campaign).mean() > _MOSTLY
            )
            said = (
                f"{len(own)} groups, p {own[0][0]:.1e} to {own[-1][0]:.1e}"
                if own
                else "no group that is mostly its own"
            )
            whole = test(known[owner == campaign])
            said += f"; all its accounts {whole.p_value:.1e}" if whole else ""
            yield f"          {campaign}: {said}" + (f"\n            {own[0][1]}" if own else "")


def _dependence(table: AccountTable, moment: Moment, groups: list[Slots], owners: list[np.ndarray]) -> str:
    """How equal volumes go with evenness of days, over groups that are mostly honest."""
    column = STATISTICS.index("daily_dispersion")
    pairs = []
    for slots, mine in zip(groups, owners, strict=True):
        known = moment.conduct.scores[slots, column]
        found = spread(table, slots, moment.now_unix_nano)
        if found is not None and (mine != "").mean() < _FEW and np.isfinite(known).sum() >= _MIN_KNOWN:
            pairs.append((-found.log_sd, float(np.nanmean(known))))
    if len(pairs) < _MIN_KNOWN:
        return "equal volumes and evenness of days: too few groups"
    return f"equal volumes and evenness of days: correlation {np.corrcoef(np.array(pairs).T)[0, 1]:+.2f} over {len(pairs)} groups"
