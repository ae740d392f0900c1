"""The supervised models: they learn from operators' labels, and have no opinion before they have seen both kinds.

Two run side by side and each label is first a test, then a lesson (prequential evaluation, Dawid 1984): the champion
speaks, the challenger is measured, and takes over when it has been clearly better over the last labels.
"""

from __future__ import annotations

import math
from typing import Any, Final

from river import linear_model, metrics, naive_bayes, optim, utils

from stillwatch.models.base import Features, checked, pack, unpack

# Labels of each kind before a model may speak: fewer and it would echo the first account that was labelled.
_MIN_OF_EACH_KIND: Final = 3
# A label is rare and was paid for with a person's time: it is shown to the models so many times.
_LABEL_WEIGHT: Final = 10
_WINDOW_LABELS: Final = 200
# The challenger takes over after so many labels together, and only with a log loss smaller by a tenth.
_MIN_LABELS_TO_SWITCH: Final = 40
_CLEARLY_BETTER: Final = 0.9


class LabelModel:
    """
    >>> model = LabelModel(seed=1)
    >>> model.learn({"a": 0.2}); model.score({"a": 0.2}) is None
    True
    """

    name = "label_model"

    def __init__(self, seed: int) -> None:
        bayes: Any = naive_bayes.GaussianNB
        # Features stand in 0..1 already, so the regression needs no scaler and costs nothing between labels.
        self._models: dict[str, Any] = {
            "logistic": linear_model.LogisticRegression(optimizer=optim.SGD(0.3), l2=1e-3),
            "bayes": bayes(),
        }
        self._losses: dict[str, Any] = {
            name: utils.Rolling(metrics.LogLoss, window_size=_WINDOW_LABELS) for name in self._models
        }
        self._champion = "logistic"
        self._seen = {False: 0, True: 0}
        self._tested = 0
        self._switches = 0

    def score(self, features: Features) -> float | None:
        if self._seen[True] < _MIN_OF_EACH_KIND or self._seen[False] < _MIN_OF_EACH_KIND:  # of every request: no loop
            return None
        x = checked(features)
        return None if x is None else self._predict(self._champion, x)

    def learn(self, features: Features, attack: bool | None = None) -> None:
        """Nothing is learned without a label."""
        x = checked(features)
        if x is None or attack is None:
            return
        if min(self._seen.values()) >= _MIN_OF_EACH_KIND:
            self._tested += 1
            for name, loss in self._losses.items():
                loss.update(attack, {True: self._predict(name, x), False: 1.0 - self._predict(name, x)})
            self._maybe_switch()
        self._seen[attack] += 1
        for model in self._models.values():
            for _ in range(_LABEL_WEIGHT):
                model.learn_one(x, attack)

    def metrics(self) -> dict[str, float | int | str]:
        """Prequential figures over the last 200 labels, for people: who speaks, and how good both are."""
        out: dict[str, float | int | str] = {
            "champion": self._champion, "labels": sum(self._seen.values()), "tested": self._tested, "switches": self._switches,
        }  # fmt: skip
        if self._tested:
            out.update({f"log_loss_{name}": round(float(loss.get()), 6) for name, loss in self._losses.items()})
        return out

    def _predict(self, name: str, x: Features) -> float:
        share = float(self._models[name].predict_proba_one(x).get(True, 0.0))
        return min(max(share, 0.0), 1.0) if math.isfinite(share) else 0.5

    def _maybe_switch(self) -> None:
        best = min(self._losses, key=lambda name: self._losses[name].get())
        mine = self._losses[self._champion].get()
        if self._tested >= _MIN_LABELS_TO_SWITCH and self._losses[best].get() < _CLEARLY_BETTER * mine:
            self._champion = best
            self._switches += 1

    def snapshot(self) -> bytes:
        names = ("_models", "_losses", "_champion", "_seen", "_tested", "_switches")
        return pack(self.name, {name: getattr(self, name) for name in names})

    def restore(self, snapshot: bytes) -> None:
        for name, value in unpack(self.name, snapshot).items():
            setattr(self, name, value)
