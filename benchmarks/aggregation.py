"""What an evaluation costs with many accounts: `python -m benchmarks.aggregation [ACCOUNTS]` (100,000; some minutes).

Made-up summaries: honest accounts that share sign-ups, cards, addresses, clients and prompts with some others each, and 300
attackers. The first evaluation finds every group due, as after a restart; later ones only what has grown.
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np

from stillwatch.aggregator import AggregatorCore
from stillwatch.fingerprint import CELLS
from stillwatch.settings import DetectionSettings
from stillwatch.summary import AccountSummary

_ATTACKERS = 300
_NOW = 1_790_000_000_000_000_000
_DAY_NANO = 86_400 * 10**9
_EVALUATIONS = 3


def summaries(accounts: int, seed: int = 1) -> list[AccountSummary]:
    rng = np.random.default_rng(seed)
    interests = [rng.dirichlet(np.full(CELLS, 8 / CELLS)) for _ in range(2_000)]
    pool = rng.dirichlet(np.full(CELLS, 0.5))
    return [_attacker(rng, n, pool) for n in range(_ATTACKERS)] + [
        _honest(rng, n, interests[n % len(interests)], accounts) for n in range(_ATTACKERS, accounts)
    ]


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


def main(accounts: int) -> None:
    made, core = summaries(accounts), AggregatorCore(DetectionSettings())
    before_s = time.process_time()
    core.fold(made)
    print(f"{accounts:,} accounts folded in {time.process_time() - before_s:.1f} s")
    for number in range(1, _EVALUATIONS + 1):
        tests, before_s = core.tests, time.process_time()
        core.evaluate()
        taken_s = time.process_time() - before_s
        print(
            f"evaluation {number}: {core.tests - tests:,} groups tested in {taken_s:.1f} s of processor time",
            flush=True,
        )
    found = [len(campaign.members) for campaign in core.campaigns()]
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"campaigns with {found} members; {peak_mib} MiB at most, the summaries included")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
