"""After a takedown: are replacement accounts re-linked? `python -m benchmarks.takedown [SCENARIO] [--seeds 3] [--texts DIR]`.

A closed loop: whom the backtest acts on is refused from then on, the relay learns of it by its next call, goes on with a
sibling and signs up a replacement. A replacement counts as re-linked when it is a member with a confidence of 0.9 or more
and is acted on. Counted are those whose first request lies at least two days before the end.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Final

from benchmarks.cells import companions, texts_of
from benchmarks.thresholds import fingerprinted_once
from launch.scenarios import load_scenario, resized
from launch.settings import load_policy, load_settings
from stillwatch.backtest import Backtest, Truth, campaigns_of
from stillwatch.backtest.ours import Stillwatch
from stillwatch.campaigns import SURE
from stillwatch.simulator import Scenario, TextSource, labels, reserves, simulate

SCENARIO: Final = "configs/scenarios/takedown.yaml"
WITHIN_DAYS: Final = 2  # the goal: four of five re-linked by then
# Nothing is chosen on the seeds of the tables and of these.
_FIRST_SEED: Final = 1_011
_PARTITIONS: Final = 1  # as in the tables: a world of some thousands of accounts as a deployment of that size would be
_DAY_NANO: Final = 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class Takedown:
    """One run. Requests are counted whether they were refused or not; an account is hit when it is acted on."""

    seed: int
    first_accounts: int
    first_acted_on: int
    replacements: int  # that sent a request
    counted: int  # of these, early enough to be followed for two days
    relinked: int  # of the counted, within two days
    median_requests_before: float | None  # of the counted, until they were first acted on
    median_hours_before: float | None  # of those that were re-linked in time
    requests: int  # of the campaign's accounts, refused ones included
    requests_served: int
    honest: int
    honest_hit: int
    honest_revoked: int
    campaigns: int

    @property
    def share(self) -> float | None:
        return self.relinked / self.counted if self.counted else None


def play(scenario: Scenario, texts: TextSource, *, seed: int) -> Takedown:
    profile, policy = companions(SCENARIO)
    settings = load_settings(profile, {"partitions": _PARTITIONS, "shards": _PARTITIONS}, environment={})
    detector = Stillwatch(settings, load_policy(policy))
    rows = {False: labels(scenario), True: reserves(scenario)}
    truth = {row.account: Truth(row.kind, row.campaign) for both in rows.values() for row in both}
    fresh = {row.account for row in rows[True]}
    sure_at: dict[str, int] = {}

    def note(now: int) -> None:
        for campaign in detector.campaigns():
            for member in campaign.members:
                if member.confidence >= SURE:
                    sure_at.setdefault(member.account, now)

    run = Backtest(detector, follow=campaigns_of(truth), on_tick=note)
    for plain in simulate(scenario, texts, banned=run.refuses):
        run.feed(fingerprinted_once(plain))
    run.finish()
    return taken_down(run, truth, fresh, sure_at, seed)


def taken_down(
    run: Backtest, truth: Mapping[str, Truth], fresh: set[str], sure_at: Mapping[str, int], seed: int
) -> Takedown:
    ledger = run.ledger
    mine = {account: row for account, row in ledger.accounts.items() if truth[account].is_attack}
    honest = [account for account in ledger.accounts if account not in mine]
    seen = sorted(account for account in mine if account in fresh)
    followed_until = ledger.last_unix_nano - WITHIN_DAYS * _DAY_NANO
    counted = [account for account in seen if mine[account].first_unix_nano <= followed_until]
    waited_nano = []
    for account in counted:
        action = ledger.first_action.get(account)
        if action is not None and account in sure_at:
            waited_nano.append(max(action.at_unix_nano, sure_at[account]) - mine[account].first_unix_nano)
    in_time = [nano for nano in waited_nano if nano <= WITHIN_DAYS * _DAY_NANO]
    first = [account for account in mine if account not in fresh]
    hit = [ledger.strongest[account].action for account in honest if account in ledger.strongest]
    return Takedown(
        seed=seed, first_accounts=len(first), first_acted_on=sum(account in ledger.first_action for account in first),
        replacements=len(seen), counted=len(counted), relinked=len(in_time),
        median_requests_before=median(mine[account].before_action for account in counted) if counted else None,
        median_hours_before=round(median(in_time) / _DAY_NANO * 24, 1) if in_time else None,
        requests=sum(row.requests for row in mine.values()),
        requests_served=sum(row.requests - row.refused for row in mine.values()),
        honest=len(honest), honest_hit=len(hit), honest_revoked=hit.count("revoke"),
        campaigns=len(run.detector.campaigns()),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="Replacement accounts after a takedown, in a closed loop.")
    parser.add_argument("scenario", nargs="?", default=SCENARIO)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=_FIRST_SEED)
    parser.add_argument("--days", type=int, help="fewer days than the scenario's")
    parser.add_argument("--texts", help="folder of *.jsonl.gz with real prompts; else the built-in grammar")
    arguments = parser.parse_args()
    texts, found = texts_of(arguments.texts), []
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        scenario = resized(load_scenario(arguments.scenario, seed), days=arguments.days)
        started = time.perf_counter()
        one = play(scenario, texts, seed=seed)
        found.append(one)
        print(f"seed {seed}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
        print(json.dumps(asdict(one)), flush=True)
    for line in summary(found):
        print(line)


def summary(found: list[Takedown]) -> list[str]:
    counted, relinked = sum(one.counted for one in found), sum(one.relinked for one in found)
    honest, hit = sum(one.honest for one in found), sum(one.honest_hit for one in found)
    share = f"{relinked / counted:.0%}" if counted else "none"
    return [
        f"re-linked within {WITHIN_DAYS} days: {relinked} of {counted} replacement accounts ({share})",
        f"honest accounts acted on: {hit} of {honest}, {sum(one.honest_revoked for one in found)} of them revoked",
    ]


if __name__ == "__main__":
    main()
