"""How the detector does on the demo's world under other seeds: `python -m benchmarks.demo_seeds [SEEDS]`.

The same core, policy, ticks and traffic as `make demo`, without NATS and Ray: accounts that are acted on stop being served.
"""

from __future__ import annotations

import sys

from benchmarks.workload import SCENARIO
from launch.scenarios import load_scenario
from launch.settings import load_policy, load_settings
from stillwatch.backtest import Backtest, Truth, evaluate
from stillwatch.backtest.ours import Stillwatch
from stillwatch.simulator import BuiltinTexts, labels, simulate


def row(seed: int, texts: BuiltinTexts) -> str:
    scenario = load_scenario(SCENARIO, seed)
    truth = {one.account: Truth(one.kind, one.campaign) for one in labels(scenario)}
    settings = load_settings("configs/profiles/demo.yaml", {"partitions": 1, "shards": 1}, environment={})
    run = Backtest(Stillwatch(settings, load_policy("configs/policies/demo.yaml")))
    for event in simulate(scenario, texts):
        run.feed(event)
    run.finish()
    found = evaluate(run.ledger, truth)
    attack = next(iter(found["attack"].values()))
    hit, honest = (sum(kind[what] for kind in found["benign"].values()) for what in ("acted_on", "accounts"))
    half = attack["hours_to_half"]
    return (
        f"{seed:>4}  {'never' if half is None else f'{half:.0f} h':>13}  {attack['acted_on']:>4} of {attack['accounts']:<4} "
        f"{attack['requests_before_action'] / max(attack['requests'], 1):>7.0%}  {hit:>4} of {honest}"
    )


def main(seeds: list[int]) -> None:
    texts = BuiltinTexts()
    print("seed  hours to half  acted on     leaked  honest acted on")
    for seed in seeds:
        print(row(seed, texts), flush=True)


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1].split(",")] if len(sys.argv) > 1 else list(range(1, 9)))
