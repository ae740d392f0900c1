"""A small maker of indicators, for whoever only passes them on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stillwatch.fingerprint import CELLS
from stillwatch.indicators import Imported, Indicator, quantised

SEEN_S = 1_789_948_800  # the day before the manual clock starts


def an_indicator(campaign: str = "x-5e929b7ebdb0e907", **changes: object) -> Indicator:
    found = Indicator(
        issuer="first.example", campaign=campaign, first_seen_unix_s=SEEN_S - 864_000, last_seen_unix_s=SEEN_S,
        accounts=60, conversations=2_400, mixture=quantised(np.arange(CELLS, dtype=np.float64)), rest_per_mille=12,
        conduct={"volume": 140}, values={},
    )  # fmt: skip
    return replace(found, **changes)  # type: ignore[arg-type]


def an_import(campaign: str = "x-5e929b7ebdb0e907", received_unix_s: int = 1_790_000_000) -> Imported:
    return Imported(an_indicator(campaign), received_unix_s, "api-key:ops")
