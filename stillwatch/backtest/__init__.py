"""Past events through a detector in event time: who would have been acted on, when, and what had leaked by then.

Pure like the rest of the core. The cluster's own detector (:mod:`stillwatch.backtest.ours`) and the rivals of
:mod:`stillwatch.rivals` answer one protocol, so that their figures come from one driver and one evaluation.
"""

from __future__ import annotations

from stillwatch.backtest.detector import ActedOn, Detector, DetectorId
from stillwatch.backtest.driver import DEFAULT_TICK_S, Backtest
from stillwatch.backtest.evaluation import Labels, Truth, campaigns_of, evaluate, kind_of
from stillwatch.backtest.ledger import Ledger
from stillwatch.backtest.order import EventOrder
from stillwatch.backtest.report import Input, encode, rejections, report

__all__ = [
    "DEFAULT_TICK_S", "ActedOn", "Backtest", "Detector", "DetectorId", "EventOrder", "Input", "Labels", "Ledger",
    "Truth", "campaigns_of", "encode", "evaluate", "kind_of", "rejections", "report",
]  # fmt: skip
