"""What the aggregator costs by how many accounts there are: `python -m benchmarks.aggregation [ACCOUNTS ...]`.

Without arguments 100,000, 300,000 and 1,000,000 (a quarter of an hour). Made-up summaries: honest accounts that share sign-ups,
cards, addresses, clients and prompts with some others each, and 300 attackers. The first evaluations find every group due, as
after a restart; then one with nothing new, and one after every fiftieth account has doubled. At last groups of different
sizes are tested. Times are of the processor, memory is this process's. For several counts the exponents of cost by accounts
are printed: 1 is linear.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np

from stillwatch.aggregator import AggregatorCore
from stillwatch.correlation.handoff_graph import HandoffGraph
from stillwatch.correlation.handoffs import Handoffs
from stillwatch.correlation.moment import COMPARED_CONVERSATIONS
from stillwatch.fingerprint import CELLS
from stillwatch.settings import DetectionSettings
from stillwatch.summary import AccountSummary

_ATTACKERS = 300
_NOW = 1_790_000_000_000_000_000
_DAY_NANO = 86_400 * 10**9
_COUNTS: Final = (100_000, 300_000, 1_000_000)
_AT_ONCE: Final = 1_000  # as in a report of a shard
_GROWN: Final = 50
_SIZES: Final = (10, 30, 100, 300, 1_000, 3_000)
_REPEATS: Final = 5


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of the processor and MiB; ``groups`` were due at first, in so many ``evaluations``."""

    accounts: int
    folding_s: float
    resident_mib: float
    groups: int
    evaluations: int
    catching_up_s: float
    longest_s: float
    quiet_s: float
    grown_groups: int
    grown_s: float
    peak_mib: float


def summaries(accounts: int, seed: int = 1) -> Iterator[AccountSummary]:
    rng = np.random.default_rng(seed)
    interests = [rng.dirichlet(np.full(CELLS, 8 / CELLS)) for _ in range(2_000)]
    pool = rng.dirichlet(np.full(CELLS, 0.5))
    yield from (_attacker(rng, n, pool) for n in range(_ATTACKERS))
    yield from (_honest(rng, n, interests[n % len(interests)], accounts) for n in range(_ATTACKERS, accounts))


def _attacker(rng: np.random.Generator, number: int, pool: np.ndarray) -> AccountSummary:
    links = (("client", "c1"), ("signup", f"batch{number % 3}"), ("payment", f"card{number % 5}"))
    return _summary(rng, f"x{number:07d}", 60, pool, links, (0.25, 1.0, 0.1), age_days=5)


def _honest(rng: np.random.Generator, number: int, interest: np.ndarray, accounts: int) -> AccountSummary:
    links = (
        ("client", f"c{rng.integers(40)}"), ("signup", f"s{rng.integers(accounts // 40 + 1)}"),
        ("payment", f"p{rng.integers(accounts // 30 + 1)}"), ("address", f"a{rng.integers(accounts // 3 + 1)}"),
        ("parameters", f"q{rng.integers(20)}"), ("template", f"t{rng.integers(300)}"), ("system", f"y{rng.integers(200)}"),
    )  # fmt: skip
    conversations = int(rng.lognormal(2.7, 0.8)) + 2
    conduct = (float(rng.beta(1, 12)), float(rng.normal(2, 0.4)), float(rng.normal(1, 0.4)))
    known = conduct if conversations >= 24 else (None, None, None)
    return _summary(rng, f"p{number:07d}", conversations, interest, links, known, int(rng.integers(1, 400)))


def _summary(
    rng: np.random.Generator, account: str, conversations: int, mixture: np.ndarray, links: tuple[tuple[str, str], ...],
    conduct: tuple[float | None, float | None, float | None], age_days: int,
) -> AccountSummary:  # fmt: skip
    halves = (rng.multinomial(n, mixture) for n in ((conversations + 1) // 2, conversations // 2))
    first, second = (tuple((int(cell), int(half[cell])) for cell in np.flatnonzero(half)) for half in halves)
    return AccountSummary(
        account=account, partition=0, events=2 * conversations, conversations=conversations, tokens=700 * conversations,
        first_seen_unix_nano=_NOW - 4 * _DAY_NANO, last_seen_unix_nano=_NOW, organisation=None, verification=None,
        label=None, capabilities=(12,) * 24, links=links, cells=(first, second), conduct=conduct,
        window_from_unix_nano=_NOW - 4 * _DAY_NANO, created_unix=_NOW // 10**9 - age_days * 86_400,
    )  # fmt: skip


def cost_of(accounts: int) -> Cost:
    before_mib, core, made, folding_s = _resident_mib(), AggregatorCore(DetectionSettings()), summaries(accounts), 0.0
    while some := list(islice(made, _AT_ONCE)):
        folding_s += _seconds(partial(core.fold, some))
    resident_mib = _resident_mib() - before_mib
    each_s = [_seconds(core.evaluate)]
    while core.waiting:
        each_s.append(_seconds(core.evaluate))
    groups, quiet_s = core.tests, _seconds(core.evaluate)
    core.fold(_doubled(core.table.summary(slot)) for slot in range(_ATTACKERS, accounts, _GROWN))
    grown_s = _seconds(core.evaluate)
    found = [len(campaign.members) for campaign in core.campaigns()]
    print(f"{accounts:,} accounts: campaigns with {found} members", flush=True)
    for size in _SIZES:
        print(f"  a group of {size:,} accounts is tested in {1000 * _test_s(core, size):.1f} ms", flush=True)
    return Cost(
        accounts, folding_s, resident_mib, groups, len(each_s), sum(each_s), max(each_s), quiet_s, core.tests - groups,
        grown_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024 - before_mib,
    )  # fmt: skip


def _doubled(summary: AccountSummary) -> AccountSummary:
    first, second = (tuple((cell, 2 * count) for cell, count in half) for half in summary.cells)
    return replace(
        summary, events=2 * summary.events, conversations=2 * summary.conversations, cells=(first, second),
        last_seen_unix_nano=_NOW + _DAY_NANO // 24,
    )  # fmt: skip


def _test_s(core: AggregatorCore, size: int) -> float:
    """Of a group of honest accounts that nothing connects."""
    table = core.table
    known = table.with_at_least(COMPARED_CONVERSATIONS)
    moment = core._normality.now((), HandoffGraph(Handoffs(), table), core.last_seen_unix_nano)
    assert moment is not None
    groups = [known[offset :: len(known) // size][:size] for offset in range(_REPEATS)]
    return _seconds(
        lambda: [core._examine(("client", "benchmark"), one, moment) for one in groups]
    ) / len(groups)  # fmt: skip


def _seconds(work: Callable[[], object]) -> float:
    before_s = time.process_time()
    work()
    return time.process_time() - before_s


def _resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def _exponent(costs: list[Cost], name: str) -> str:
    """The slope of the logarithm of the cost over that of the accounts, by least squares."""
    accounts, cost = (np.log([getattr(one, column) for one in costs]) for column in ("accounts", name))
    return f"accounts^{np.polyfit(accounts, cost, 1)[0]:.2f}"


def main(counts: tuple[int, ...]) -> None:
    with get_context("spawn").Pool(1, maxtasksperchild=1) as alone:  # a process each: memory is not shared
        costs = alone.map(cost_of, counts, chunksize=1)
    print("\n| accounts | " + " | ".join(f"{one.accounts:,}" for one in costs) + " | grows as |")
    print("|---|" + "---|" * (len(costs) + 1))
    rows = (
        ("folding all of them, s", "folding_s", 1), ("memory with all of them, MiB", "resident_mib", 0),
        ("most memory of an evaluation, MiB", "peak_mib", 0), ("groups due at first", "groups", 0),
        ("evaluations until all were tested", "evaluations", 0), ("these together, s", "catching_up_s", 0),
        ("the longest of them, s", "longest_s", 1), ("an evaluation with nothing due, s", "quiet_s", 1),
        ("groups due after one account in fifty has doubled", "grown_groups", 0), ("that evaluation, s", "grown_s", 1),
    )  # fmt: skip
    for meaning, name, digits in rows:
        growth = _exponent(costs, name) if len(costs) > 1 and min(getattr(one, name) for one in costs) > 0 else "–"
        print(f"| {meaning} | " + " | ".join(f"{getattr(one, name):,.{digits}f}" for one in costs) + f" | {growth} |")


if __name__ == "__main__":
    main(tuple(map(int, sys.argv[1:])) or _COUNTS)
