"""Scenario files for the simulator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from stillwatch.errors import SettingsError
from stillwatch.simulator import Scenario, from_map
from stillwatch.simulator.scenario import merged


def load_scenario(file: str, seed: int | None = None) -> Scenario:
    """``extends: other.yaml``, beside this file: its groups and keys, changed and added to."""
    raw = _read(Path(file))
    base = raw.get("extends")
    if base is not None:
        path = Path(file).parent / str(base)
        under = _read(path)
        if "extends" in under:
            raise SettingsError(str(path), "it extends another scenario itself", "Extend the one that extends nothing")
        raw = merged(under, raw)
    return from_map(raw if seed is None else {**raw, "seed": seed})


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise SettingsError(str(path), "there is no such file", "configs/scenarios holds some")
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(str(path), f"not YAML: {error}", "Compare it with configs/scenarios/demo.yaml") from error
    if not isinstance(raw, dict):
        raise SettingsError(str(path), "not a map", "Compare it with configs/scenarios/demo.yaml")
    return raw


def resized(scenario: Scenario, scale: float = 1.0, days: int | None = None) -> Scenario:
    """More or fewer accounts at the same rates, and another length."""
    if not 0.0001 <= scale <= 1_000:
        raise SettingsError("--scale", f"{scale} is outside 0.0001..1000", "1 is the scenario as it is written")
    if days is not None and not 1 <= days <= 366:
        raise SettingsError("--days", f"{days} is outside 1..366", "Leave it out for the scenario's own length")
    out = scenario if scale == 1.0 else scenario.scaled(scale)
    return out if days is None else out.model_copy(update={"days": days})
