"""How the first method does on the demo's world under other seeds: `python -m benchmarks.demo_seeds [SEEDS]`.

The same core, policy and traffic as `make demo`, without NATS and Ray: accounts that are acted on stop being served, and
the aggregator evaluates every 48 minutes of event time.
"""

from __future__ import annotations

import sys
from collections import Counter

from benchmarks.workload import SCENARIO
from launch.scenarios import load_scenario
from launch.settings import load_policy
from stillwatch.account import AccountState
from stillwatch.aggregator import AggregatorCore
from stillwatch.fingerprint import event_fingerprint
from stillwatch.policy import Population, decide_campaign
from stillwatch.settings import DetectionSettings
from stillwatch.simulator import BuiltinTexts, labels, simulate
from stillwatch.summary import summarise
from stillwatch.verdict import Action, Campaign

_EVALUATE_EVERY_NANO = 48 * 60 * 1_000_000_000


class Run:
    def __init__(self, seed: int) -> None:
        self.scenario = load_scenario(SCENARIO, seed)
        self.kinds = {row.account: row.kind for row in labels(self.scenario)}
        self.policy = load_policy("configs/policies/demo.yaml")
        self.aggregator = AggregatorCore(DetectionSettings())
        self.accounts: dict[str, AccountState] = {}
        self.acted: dict[str, dict[str, Action]] = {}
        self.out: dict[str, int] = {}
        self.served: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    def play(self, texts: BuiltinTexts) -> None:
        dirty: set[str] = set()
        next_evaluation = 0
        for event in simulate(self.scenario, texts):
            if event.time_unix_nano >= next_evaluation:
                next_evaluation = event.time_unix_nano + _EVALUATE_EVERY_NANO
                self.aggregator.fold(summarise(self.accounts[account], 0) for account in sorted(dirty))
                dirty.clear()
                for campaign in self.aggregator.evaluate():
                    self._act_on(campaign, event.time_unix_nano)
            kind = self.kinds[event.account]
            if event.account in self.out:
                self.refused[kind] += 1
                continue
            self.served[kind] += 1
            state = self.accounts.setdefault(event.account, AccountState(event.account, event.time_unix_nano))
            state.observe(event, event_fingerprint(event))
            dirty.add(event.account)

    def _act_on(self, campaign: Campaign, now: int) -> None:
        summaries = [self.aggregator.table.summary_of(member.account) for member in campaign.members]
        verification = {s.account: s.verification for s in summaries if s is not None and s.verification is not None}
        acted = self.acted.setdefault(campaign.id, {})
        population = Population(len(self.aggregator.table), verification, acted)
        for verdict in decide_campaign(campaign, self.policy, population, now, ""):
            for account in verdict.members:
                acted[account] = verdict.action
                self.out.setdefault(account, now)

    def row(self) -> str:
        attackers = {account for account in self.accounts if self.kinds[account] == "attack"}
        honest = {account for account in self.accounts if self.kinds[account] != "attack"}
        hit = [account for account in self.out if self.kinds[account] != "attack"]
        first = (min(self.out.values()) / 1e9 - self.scenario.start_unix_s) / 3600 if self.out else float("nan")
        asked = self.served["attack"] + self.refused["attack"]
        return (
            f"{self.scenario.seed:>4}  {first:>8.0f} h  {len(self.out) - len(hit):>4} of {len(attackers):<4} "
            f"{self.served['attack'] / max(asked, 1):>7.0%}  {len(hit):>4} of {len(honest)}"
        )


def main(seeds: list[int]) -> None:
    texts = BuiltinTexts()
    print("seed  first act  acted on     leaked  honest acted on")
    for seed in seeds:
        run = Run(seed)
        run.play(texts)
        print(run.row(), flush=True)


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1].split(",")] if len(sys.argv) > 1 else list(range(1, 9)))
