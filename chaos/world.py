"""What a run plays: traffic with a campaign in it, and the settings of the line that reads it."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Final

from launch.free_ports import free_ports
from launch.keys import with_local_key
from launch.replay import rebased
from launch.scenarios import load_scenario
from launch.settings import load_settings
from stillwatch.event import RequestEvent
from stillwatch.fingerprint import event_fingerprint
from stillwatch.settings import Settings
from stillwatch.simulator import BuiltinTexts, simulate

SCENARIO: Final = "configs/scenarios/demo.yaml"
PROFILE: Final = "configs/profiles/chaos.yaml"
_TEXTS: Final = ("stillwatch.prompt.text", "stillwatch.system.text")


def traffic() -> list[RequestEvent]:
    """Three days, fingerprinted as at the edge, that are over by now. Moved by whole eras: every run cuts them at the same
    hours of the same days."""
    made = list(simulate(load_scenario(SCENARIO), BuiltinTexts()))
    era_nano = load_settings(PROFILE, environment={}).detection.era_days * 86_400 * 10**9
    shift = (time.time_ns() - made[-1].time_unix_nano) // era_nano * era_nano
    return [_at_the_edge(event) for event in rebased(made, shift)]


def _at_the_edge(event: RequestEvent) -> RequestEvent:
    found = event_fingerprint(event)
    kept = {name: value for name, value in event.attributes.items() if name not in _TEXTS}
    return replace(event, attributes=kept if found is None else {**kept, **found.attributes()})


def settings_for(directory: Path, nats_url: str) -> tuple[Settings, str]:
    """With a key of its own and a port that stays the same however often the line is started."""
    overrides = {
        "data_dir": str(directory), "nats": {"urls": [nats_url]}, "serve": {"port": free_ports(1)[0]},
    }  # fmt: skip
    return with_local_key(load_settings(PROFILE, overrides, environment={}))
