"""River models that score and then learn, behind one interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from stillwatch.models.anomaly import CohortAnomaly
from stillwatch.models.base import Features, OnlineModel
from stillwatch.models.drift import BaselineDrift
from stillwatch.models.supervised import LabelModel

MODELS: Final[Mapping[str, Callable[[int], OnlineModel]]] = {
    CohortAnomaly.name: CohortAnomaly,
    LabelModel.name: LabelModel,
}

__all__ = ["MODELS", "BaselineDrift", "CohortAnomaly", "Features", "LabelModel", "OnlineModel"]
