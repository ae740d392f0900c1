"""Scenario files for the simulator."""

from __future__ import annotations

from pathlib import Path

import yaml

from stillwatch.errors import SettingsError
from stillwatch.simulator import Scenario, from_map


def load_scenario(file: str, seed: int | None = None) -> Scenario:
    path = Path(file)
    if not path.is_file():
        raise SettingsError(file, "there is no such file", "configs/scenarios holds some")
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(file, f"not YAML: {error}", "Compare it with configs/scenarios/demo.yaml") from error
    if not isinstance(raw, dict):
        raise SettingsError(file, "not a map", "Compare it with configs/scenarios/demo.yaml")
    return from_map(raw if seed is None else {**raw, "seed": seed})
