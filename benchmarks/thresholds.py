"""The rivals' thresholds, at one false positive in a thousand honest accounts: `python -m benchmarks.thresholds`.

Writes configs/rivals.yaml. Honest traffic of a scenario and seed that no table reports on; a rival's threshold is what
one account in a thousand exceeds at any hourly tick of a week, so it is a rate per account and week, not per look.
Rivals differ in nothing else: no constant of theirs is fitted to anything.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from launch.detectors import RIVAL_TICK_S, THRESHOLDS_FILE
from launch.scenarios import load_scenario
from stillwatch.backtest import Backtest
from stillwatch.backtest.curves import NO_OPINION, threshold_at
from stillwatch.event import RequestEvent
from stillwatch.fingerprint import event_fingerprint
from stillwatch.rivals import RIVALS, Rival
from stillwatch.rivals.mmd import Sample, WindowedMmd, reference_of
from stillwatch.simulator import BuiltinTexts, Scenario, TextSource, simulate

# Any honest scenario of at least 1,000 accounts does. Its seeds here are no table's.
SCENARIO: Final = "configs/scenarios/honest-hard.yaml"
RATE: Final = 1e-3
_SEED: Final = 90001
_REFERENCE_SEED: Final = 90002


def honest_reference(texts: TextSource) -> Sample:
    """What `mmd` compares with: honest traffic of a seed of its own."""
    return reference_of(simulate(load_scenario(SCENARIO, _REFERENCE_SEED), texts))


def highest_scores(rivals: dict[str, Rival], scenario: Scenario, texts: TextSource) -> dict[str, dict[str, float]]:
    """Rival -> account -> its highest score at any tick. Every account that sent a request is in it."""
    highest: dict[str, dict[str, float]] = {name: {} for name in rivals}
    seen: set[str] = set()

    def note(name: str, rival: Rival) -> None:
        known = highest[name]
        for account, score in rival.scores().items():
            known[account] = max(known.get(account, score), score)

    runs = [
        Backtest(rival, tick_s=RIVAL_TICK_S, on_tick=lambda _now, name=name, rival=rival: note(name, rival))  # type: ignore[misc]
        for name, rival in rivals.items()
    ]
    for number, plain in enumerate(simulate(scenario, texts)):
        event = fingerprinted_once(plain)
        seen.add(event.account)
        for run in runs:
            run.feed(event)
        if number % 20_000 == 0:
            print(f"{number:,} events", file=sys.stderr)
    for run in runs:
        run.finish()
    return {name: {a: known.get(a, NO_OPINION) for a in sorted(seen)} for name, known in highest.items()}


def fingerprinted_once(event: RequestEvent) -> RequestEvent:
    """Once for all rivals. The text stays: `mmd` reads it."""
    found = event_fingerprint(event)
    return event if found is None else replace(event, attributes={**event.attributes, **found.attributes()})


def main() -> None:
    parser = argparse.ArgumentParser(description="Set the rivals' thresholds on honest traffic.")
    parser.add_argument("--out", type=Path, default=Path(THRESHOLDS_FILE))
    parser.add_argument("--only", choices=sorted(RIVALS), help="a rival that is new or has changed; the others stay")
    arguments = parser.parse_args()
    out: Path = arguments.out
    texts, scenario = BuiltinTexts(), load_scenario(SCENARIO, _SEED)
    reference = honest_reference(texts)
    rivals: dict[str, Rival] = {
        name: WindowedMmd(None, reference) if name == WindowedMmd.name else make(None)
        for name, make in RIVALS.items() if arguments.only in (None, name)
    }  # fmt: skip
    thresholds: dict[str, float] = {}
    accounts = 0
    for name, highest in highest_scores(rivals, scenario, texts).items():
        accounts = len(highest)
        threshold = threshold_at(np.array(list(highest.values())), RATE)
        if threshold is None:
            raise SystemExit(f"{accounts} honest accounts can not show a rate of {RATE:g}: use more")
        thresholds[name] = float(f"{threshold:.6g}")
    made: dict[str, Any] = {
        "made_by": "python -m benchmarks.thresholds",
        "scenario": SCENARIO,
        "scenario_sha256": hashlib.sha256(Path(SCENARIO).read_bytes()).hexdigest(),
        "seed": scenario.seed,
        "reference_seed": _REFERENCE_SEED,
        "honest_accounts": accounts,
        "false_positive_rate": RATE,
    }
    versions = {name: rival.version for name, rival in rivals.items()}
    if arguments.only is not None:
        known = yaml.safe_load(out.read_text("utf-8"))
        before = dict(known["provenance"])
        versions = {**before.pop("versions"), **versions}
        thresholds = {**known["thresholds"], **thresholds}
        if before != made:
            raise SystemExit(f"{out} was made on other traffic: make all of it anew, without --only")
    head = "# The rivals' thresholds. Made, not written: see made_by. What a threshold is on stands in each rival's module.\n"
    body = {"provenance": {**made, "versions": versions}, "thresholds": thresholds}
    out.write_text(head + yaml.safe_dump(body, sort_keys=True), "utf-8")
    print(out.read_text("utf-8"))


if __name__ == "__main__":
    main()
