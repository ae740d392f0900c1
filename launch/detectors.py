"""Detectors by name, for `--detector` and the benchmarks: ours, or a rival with its threshold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import yaml

from stillwatch.backtest import Detector
from stillwatch.backtest.ours import NAME, Stillwatch
from stillwatch.errors import SettingsError
from stillwatch.rivals import RIVALS
from stillwatch.rivals.mmd import Sample, WindowedMmd
from stillwatch.settings import Policy, Settings

THRESHOLDS_FILE: Final = "configs/rivals.yaml"
DETECTORS: Final[tuple[str, ...]] = (NAME, *RIVALS)
# A rival's threshold is what one honest account in a thousand exceeds at any tick of a week, with ticks of an hour. More
# looks would be more honest accounts.
RIVAL_TICK_S: Final = 3_600


def tick_s_of(name: str, settings: Settings) -> int:
    """Event time between a detector's evaluations: ours has the cluster's ticks."""
    return settings.detection.evaluation_tick_s if name == NAME else RIVAL_TICK_S


def make_detector(
    name: str, settings: Settings, policy: Policy, thresholds: Mapping[str, float], reference: Sample | None = None
) -> Detector:
    """``reference``: honest vectors for `mmd`; the other detectors need none."""
    if name == NAME:
        return Stillwatch(settings, policy)
    if name not in RIVALS:
        raise SettingsError("--detector", f"there is no detector {name!r}", f"Choose one of {', '.join(DETECTORS)}")
    threshold = thresholds.get(name)
    if name == WindowedMmd.name:
        return WindowedMmd(threshold, reference)
    return RIVALS[name](threshold)


def load_thresholds(file: str = THRESHOLDS_FILE) -> dict[str, float]:
    """Of every rival; empty where the file does not exist, and then rivals score and act on nobody."""
    path = Path(file)
    if not path.is_file():
        return {}
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    found = raw.get("thresholds") if isinstance(raw, dict) else None
    if not isinstance(found, dict) or not all(isinstance(value, int | float) for value in found.values()):
        raise SettingsError(file, "no map of thresholds", "Make it anew: python -m benchmarks.thresholds")
    return {str(name): float(value) for name, value in found.items()}
