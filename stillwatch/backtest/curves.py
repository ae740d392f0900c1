"""From a continuous suspicion to error rates: who is found when one honest account in n is hit.

No threshold is chosen here: the threshold is where the honest scores say, and so is the rate it stands for. With n
honest accounts no rate below 1/n can be told from 0; what is asked below that comes back as ``None``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float64]
NO_OPINION = -math.inf


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Scores of attackers and of honest accounts; an account without an opinion has minus infinity."""

    attack: Scores
    honest: Scores
    honest_kinds: tuple[str, ...]


def split(scores: Mapping[str, float], kinds: Mapping[str, str]) -> Split:
    """``kinds``: every account that sent a request -> its kind; ``attack`` is the attackers'."""
    attack = [scores.get(account, NO_OPINION) for account, kind in sorted(kinds.items()) if kind == "attack"]
    honest = [(scores.get(a, NO_OPINION), kind) for a, kind in sorted(kinds.items()) if kind != "attack"]
    return Split(np.array(attack), np.array([score for score, _ in honest]), tuple(kind for _, kind in honest))


def threshold_at(honest: Scores, false_positive_rate: float) -> float | None:
    """Accounts *above* it are at most that share of the honest ones; ``None`` below the resolution of 1/n.

    >>> threshold_at(np.arange(1000.0), 0.01), threshold_at(np.arange(50.0), 0.01)
    (989.0, None)
    """
    allowed = math.floor(false_positive_rate * len(honest) + 1e-9)
    if allowed < 1:
        return None
    return float(np.sort(honest)[::-1][allowed]) if allowed < len(honest) else NO_OPINION


def found_at(scores: Split, false_positive_rate: float) -> float | None:
    """The share of attackers above the threshold; ties count as not found."""
    threshold = threshold_at(scores.honest, false_positive_rate)
    if threshold is None or not len(scores.attack):
        return None
    return float((scores.attack > threshold).mean())


def hit_by_kind(scores: Split, false_positive_rate: float) -> dict[str, float]:
    """At the overall threshold, the false positive rate within each honest kind; empty below the resolution."""
    threshold = threshold_at(scores.honest, false_positive_rate)
    if threshold is None:
        return {}
    kinds = np.array(scores.honest_kinds)
    return {str(kind): float((scores.honest[kinds == kind] > threshold).mean()) for kind in np.unique(kinds)}


def area(scores: Split) -> float | None:
    """The area under the ROC curve: the chance that an attacker scores above an honest account, ties half.

    >>> area(Split(np.array([2.0, 3.0]), np.array([1.0, 2.0]), ("user", "user")))
    0.875
    """
    if not len(scores.attack) or not len(scores.honest):
        return None
    honest = np.sort(scores.honest)
    below = np.searchsorted(honest, scores.attack, side="left")
    not_above = np.searchsorted(honest, scores.attack, side="right")
    return float((below + not_above).sum() / 2 / (len(honest) * len(scores.attack)))


def roc(scores: Split) -> list[tuple[float, float]]:
    """(false positive rate, share of attackers found), one point per distinct score, from strict to lenient."""
    honest, attack = np.sort(scores.honest), np.sort(scores.attack)
    if not len(honest) or not len(attack):
        return []
    cuts: Sequence[float] = np.unique(np.concatenate((honest, attack)))[::-1].tolist()
    false = 1 - np.searchsorted(honest, cuts, side="left") / len(honest)
    true = 1 - np.searchsorted(attack, cuts, side="left") / len(attack)
    return [(0.0, 0.0), *zip(false.tolist(), true.tolist(), strict=True)]
