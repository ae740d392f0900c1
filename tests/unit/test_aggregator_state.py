"""The aggregator's snapshot: nothing of the state is forgotten, and nothing is misread."""

from __future__ import annotations

import msgpack
import numpy as np
import pytest
from factories import T0
from summary_worlds import people, pool_accounts

from launch.settings import load_policy
from stillwatch.aggregator import AggregatorCore
from stillwatch.aggregator_state import ATTRIBUTES, parts, restore, snapshot
from stillwatch.decisions import Decider
from stillwatch.errors import SnapshotIncompatible
from stillwatch.frozen import freeze, thaw
from stillwatch.gate import TickGate
from stillwatch.ports import Mark, Part
from stillwatch.settings import DetectionSettings

SETTINGS = DetectionSettings(null_sets=20)
POLICY = load_policy("configs/policies/default.yaml")


def a_life() -> tuple[AggregatorCore, Decider, TickGate]:
    return AggregatorCore(SETTINGS), Decider(POLICY, "c0"), TickGate(2, 900, 30)


def grown() -> tuple[AggregatorCore, Decider, TickGate]:
    core, decider, gate = a_life()
    rng = np.random.default_rng(1)
    core.fold([*people(rng, 200), *pool_accounts(rng, 60)])
    for campaign in core.evaluate(T0):
        for verdict in decider.on_campaign(campaign, core.table, T0):
            decider.taken(verdict)
    assert core.campaigns()
    gate.take(Part(0, 900, 0, b"waits", epoch=4))
    gate.mark([Mark(0, 900, 0, False, 4), Mark(1, 0, 900, False, 2)], 0, 0)
    return core, decider, gate


def test_every_attribute_of_every_part_is_said_to_be_state_or_not() -> None:
    """Whoever adds one to these classes decides here whether the next life has to know it."""
    core, decider, _ = grown()
    for name, part in parts(core, decider).items():
        known = ATTRIBUTES[name]
        assert set(vars(part)) == known.state | known.wired | known.passing, name
    inside = {name for name, value in vars(core).items() if type(value).__module__.startswith("stillwatch.")}
    covered = {"table", "_links", "_handoffs", "_normality", "_known", "_docket", "_mixtures", "_neighbours"}
    # Made anew at each evaluation, or kept in a store of its own.
    assert inside - covered == {"_settings", "exchange", "_ordinary_mixtures"}


def test_a_restored_life_says_the_same_and_its_snapshot_is_the_same() -> None:
    core, decider, gate = grown()
    made = snapshot(core, decider, gate.state(), "memory-1")
    again = a_life()
    assert restore(made, *again) == "memory-1"
    assert again[0].campaigns() == core.campaigns()
    assert snapshot(again[0], again[1], again[2].state(), "memory-1") == made
    assert again[2].open(900) == [b"waits"]
    assert not again[2].take(Part(0, 1_800, 0, b"of an older owner", epoch=3))


def test_a_part_with_other_attributes_is_refused() -> None:
    core, decider, gate = grown()
    body = thaw(snapshot(core, decider, gate.state(), "m"))
    del body["parts"]["docket"]["tests"]
    with pytest.raises(SnapshotIncompatible, match="the aggregator's docket"):
        restore(freeze(body), *a_life())


def test_a_dataclass_with_other_fields_is_refused_and_nothing_but_ours_is_made() -> None:
    classes, frozen = msgpack.unpackb(freeze(Mark(0, 1, 2, silent=True)), strict_map_key=False)
    [name] = classes
    classes[name] = [*classes[name], "added later"]
    with pytest.raises(SnapshotIncompatible, match="added later"):
        thaw(msgpack.packb([classes, frozen]))
    with pytest.raises(SnapshotIncompatible):
        thaw(msgpack.packb([{"subprocess:Popen": []}, ["class", "subprocess:Popen", []]]))
    with pytest.raises(TypeError, match="can not be in a snapshot"):
        freeze(object())
