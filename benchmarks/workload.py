"""The traffic that all benchmarks share: the first events of a simulated scenario, fingerprinted at the edge or not."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

from launch.scenarios import load_scenario
from stillwatch.event import RequestEvent
from stillwatch.fingerprint import event_fingerprint
from stillwatch.ports import RawMessage
from stillwatch.simulator import BuiltinTexts, simulate
from stillwatch.wire import encode_event

SCENARIO = "configs/scenarios/demo.yaml"


def events(count: int) -> list[RequestEvent]:
    return list(islice(simulate(load_scenario(SCENARIO), BuiltinTexts()), count))


def fingerprinted(event: RequestEvent) -> RequestEvent:
    """As the gateway package sends it: without text."""
    found = event_fingerprint(event)
    dropped = ("stillwatch.prompt.text", "stillwatch.system.text")
    kept = {name: value for name, value in event.attributes.items() if name not in dropped}
    return event if found is None else replace(event, attributes={**kept, **found.attributes()})


def messages(made: list[RequestEvent], partition: int = 0) -> list[RawMessage]:
    return [
        RawMessage(
            n, f"stillwatch.partition.{partition}.{event.account}", encode_event(event), event.time_unix_nano + 1
        )
        for n, event in enumerate(made, start=1)
    ]
