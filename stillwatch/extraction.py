"""How much a campaign has taken: of which capabilities, of which topics, how many requests and tokens, now and a day.

So that the response can be in proportion. Read from the probable members' summaries, which count the last 14 to 28 days;
what they no longer count stays in the totals. Bounded: one count a capability, one a topic cell, 24 hours.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import numpy.typing as npt

from stillwatch.lexicon import CAPABILITIES

if TYPE_CHECKING:  # verdicts carry an Extraction
    from stillwatch.summary import AccountSummary
    from stillwatch.verdict import Member

Vector = npt.NDArray[np.float64]

PROBABLE: Final = 0.5  # a confidence: more likely a member than not
_HOUR_S: Final = 3_600
_DAY_NANO: Final = 86_400_000_000_000
_ROWS: Final = 24  # hours
_MAX_TOTAL: Final = 2**53  # JSON numbers are exact up to here
WHAT_CELLS_SAY: Final = (
    "Topics are counted in 256 coarse cells. A cell that was asked about once counts as covered, whatever is left in it; "
    "completeness says how likely another conversation falls into a cell already asked about, not how many prompts are left"
)


@dataclass(frozen=True, slots=True)
class Extraction:
    """``requests`` and ``tokens``: in all, at least, also where accounts' own states have forgotten a part since.
    ``requests_last_day`` and ``tokens_last_day``: of the last 24 h of event time, from ``hours``, rows of (unix s of the hour,
    requests, tokens). ``capabilities``: requests by capability, one to three of them a request, and ``asked`` the requests
    that these are counts of. ``topics_covered``: 0..1, the share of what honest people ask, weighted by demand, that the
    campaign has asked about at least once. ``completeness``: 0..1, how much of its own pool that is (:func:`sample_coverage`).
    """

    requests: int = 0
    tokens: int = 0
    requests_last_day: int = 0
    tokens_last_day: int = 0
    asked: int = 0
    capabilities: tuple[tuple[str, int], ...] = ()
    topics_covered: float = 0.0
    completeness: float | None = None
    conversations: int = 0
    hours: tuple[tuple[int, int, int], ...] = ()
    limits: str = WHAT_CELLS_SAY

    @property
    def sentence(self) -> str:
        """What was taken, in words with numbers."""
        count = len(self.capabilities)
        said = f"together they asked for {count} of {len(CAPABILITIES)} capabilities"
        if count and self.asked:
            most = sorted(self.capabilities, key=lambda item: (-item[1], item[0]))[:3]
            said += ", most for " + ", ".join(f"{name} ({times / self.asked:.0%} of requests)" for name, times in most)
        said += f"; about topics that make up {self.topics_covered:.0%} of what honest people ask"
        if self.completeness is not None:
            said += f"; {self.completeness:.1%} of their next conversations would be about topics they have had before"
        return said

    def silent(self, now_unix_nano: int) -> Extraction:
        """The meter of a campaign that sleeps: nothing comes, hours pass."""
        hours = _recent(self.hours, now_unix_nano)
        return replace(
            self,
            hours=hours,
            requests_last_day=sum(row[1] for row in hours),
            tokens_last_day=sum(row[2] for row in hours),
        )

    def to_map(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_map(cls, raw: Mapping[str, Any]) -> Extraction:
        return cls(
            **{
                **raw,
                "capabilities": tuple((str(name), int(times)) for name, times in raw["capabilities"]),
                "hours": tuple((int(at), int(requests), int(tokens)) for at, requests, tokens in raw["hours"]),
            }
        )


def measure(
    summaries: Iterable[AccountSummary], gone: Collection[Member], pool: Vector, demand: Vector, now_unix_nano: int,
    before: Extraction | None, members_before: Iterable[Member], left: Collection[str],
) -> Extraction:  # fmt: skip
    """The meter at a moment. ``summaries``: of the probable members; ``gone``: those of whom there is none. ``pool``: the campaign's conversations by topic cell;
    ``demand``: honest people's, as shares. ``before`` and ``members_before``: what the last evaluation published, ``left``
    those of them who are not probable any more."""
    members = sorted(summaries, key=lambda summary: summary.account)
    known = {member.account: member for member in members_before if member.confidence >= PROBABLE}
    before = before or Extraction()
    news = [_news(summary, known.get(summary.account), now_unix_nano) for summary in members]
    asked = sum(one.events for one in members)
    requests = asked + sum(one.requests for one in gone)
    tokens = sum(one.tokens for one in members) + sum(one.tokens for one in gone)
    mistaken = [member for member in known.values() if member.account in left]
    hours = _hours(before.hours, now_unix_nano, sum(one[0] for one in news), sum(one[1] for one in news))
    counts = ((name, sum(one.capabilities[index] for one in members)) for index, name in enumerate(CAPABILITIES))
    counted = tuple((name, count) for name, count in counts if count)
    # After a takedown and the end of an era little is left to count: what was known when most was known stays.
    asked, capabilities = max((asked, counted), (before.asked, before.capabilities), key=lambda item: item[0])
    return Extraction(
        requests=_total(before.requests, news, 0, [one.requests for one in mistaken], requests),
        tokens=_total(before.tokens, news, 1, [one.tokens for one in mistaken], tokens),
        requests_last_day=sum(row[1] for row in hours),
        tokens_last_day=sum(row[2] for row in hours),
        asked=asked,
        capabilities=capabilities,
        topics_covered=topics_covered(pool, demand),
        completeness=sample_coverage(pool),
        conversations=int(pool.sum()),
        hours=hours,
    )


def topics_covered(pool: Vector, demand: Vector) -> float:
    """Share of ``demand`` on topics that ``pool`` has at least once.

    >>> topics_covered(np.array([5.0, 1.0, 0.0]), np.array([0.5, 0.3, 0.2]))
    0.8
    """
    total = float(demand.sum())
    return round(float(demand[pool > 0].sum()) / total, 4) if total > 0 else 0.0


def sample_coverage(pool: Vector) -> float | None:
    """1 - f1 / n: the chance that the next conversation is on a topic asked about before (Good 1953, of Turing's).

    >>> sample_coverage(np.array([6.0, 3.0, 1.0, 0.0])), sample_coverage(np.array([1.0, 0.0]))
    (0.9, None)
    """
    conversations = float(pool.sum())
    return round(1 - float((pool == 1).sum()) / conversations, 4) if conversations >= 2 else None


def _news(summary: AccountSummary, member: Member | None, now_unix_nano: int) -> tuple[int, int, bool]:
    """(requests, tokens) since the last evaluation, and whether the account was a member by then.

    Of a new member it is known how much it sent in all, not when: its last day is taken as an average one.
    """
    if member is not None:
        return max(summary.events - member.requests, 0), max(summary.tokens - member.tokens, 0), True
    if summary.last_seen_unix_nano < now_unix_nano - _DAY_NANO:
        return 0, 0, False
    days = max((summary.last_seen_unix_nano - summary.window_from_unix_nano) / _DAY_NANO, 1.0)
    return round(summary.events / days), round(summary.tokens / days), False


def _total(
    before: int, news: Sequence[tuple[int, int, bool]], which: Literal[0, 1], mistaken: Sequence[int], now: int
) -> int:
    """What was known before and has come since, less what was no member's; never less than the members' own counts. A new
    member's earlier requests count by these: then one that comes back after a restart does not count twice."""
    since = sum(one[which] for one in news if one[2])
    return min(max(before + since - sum(mistaken), now), _MAX_TOTAL)


def _hours(
    rows: Sequence[tuple[int, int, int]], now_unix_nano: int, requests: int, tokens: int
) -> tuple[tuple[int, int, int], ...]:
    hour = now_unix_nano // 1_000_000_000 // _HOUR_S * _HOUR_S
    kept = list(_recent(rows, now_unix_nano))
    if kept and kept[-1][0] == hour:
        _, before_requests, before_tokens = kept.pop()
        requests, tokens = requests + before_requests, tokens + before_tokens
    return (*kept, (hour, requests, tokens))


def _recent(rows: Sequence[tuple[int, int, int]], now_unix_nano: int) -> tuple[tuple[int, int, int], ...]:
    """The running hour and the 23 before it: 23 to 24 hours."""
    hour = now_unix_nano // 1_000_000_000 // _HOUR_S * _HOUR_S
    return tuple(row for row in rows if hour - _ROWS * _HOUR_S < row[0] <= hour)
