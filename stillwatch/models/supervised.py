"""The supervised model: learns from operators' labels, has no opinion before it has seen both kinds.

River's StandardScaler | LogisticRegression; 25 to 60 µs a request. The scaler learns from every request (it needs no
label), the regression only from labelled accounts.
"""

from __future__ import annotations

from typing import Final

from river import compose, linear_model, optim, preprocessing

from stillwatch.models.base import Features, checked, pack, unpack

# Requests of each kind before the model may speak: fewer and it would echo the first account that was labelled.
_MIN_OF_EACH_KIND: Final = 20


class LabelModel:
    """
    >>> model = LabelModel(seed=1)
    >>> model.learn({"a": 0.2}); model.score({"a": 0.2}) is None
    True
    """

    name = "label_model"

    def __init__(self, seed: int) -> None:
        self._pipeline = compose.Pipeline(
            preprocessing.StandardScaler(), linear_model.LogisticRegression(optimizer=optim.SGD(0.05), l2=1e-3)
        )
        self._seen = {False: 0, True: 0}

    def score(self, features: Features) -> float | None:
        x = checked(features)
        if x is None or min(self._seen.values()) < _MIN_OF_EACH_KIND:
            return None
        return float(self._pipeline.predict_proba_one(_clipped(x)).get(True, 0.0))

    def learn(self, features: Features, attack: bool | None = None) -> None:
        usable = checked(features)
        if usable is None:
            return
        x = _clipped(usable)
        if attack is None:
            self._pipeline["StandardScaler"].learn_one(x)
            return
        self._pipeline.learn_one(x, attack)
        self._seen[attack] += 1

    def snapshot(self) -> bytes:
        return pack(self.name, {"pipeline": self._pipeline, "seen": self._seen})

    def restore(self, snapshot: bytes) -> None:
        state = unpack(self.name, snapshot)
        self._pipeline, self._seen = state["pipeline"], state["seen"]


def _clipped(x: dict[str, float]) -> dict[str, float]:
    """Finite is not enough: 1e308 squared inside the scaler is infinite."""
    return {name: min(max(value, -1e6), 1e6) for name, value in x.items()}
