"""How much each witness for membership is worth, in this campaign: learned from its core and from honest accounts.

Topics tell much where people are narrow and nothing where they are as broad as a pool; conduct tells much of a relay that
balances load and nothing of personas. No fixed weights fit both. So the weights are fitted each time, by a logistic
regression (Platt 1999 for the calibration) of the core against outsiders: its linear part is a log likelihood ratio.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import expit

Vector = npt.NDArray[np.float64]
Witnesses = npt.NDArray[np.float64]  # shape (accounts, witnesses): natural logs of likelihood ratios, rough ones

_SCALE: Final = 10.0  # nats: brings witnesses to about 1
_LIMIT: Final = 3.0  # of a scaled witness: none decides alone however far out it is
_RIDGE: Final = 0.05  # where core and outsiders do not overlap, the likelihood alone has no end
_STEPS: Final = 30


def fitted(core: Witnesses, outside: Witnesses) -> Callable[[Witnesses], Vector]:
    """The log likelihood ratio of accounts from their witnesses. Both kinds weigh the same, so there is no prior in it; a
    witness never counts against its own direction. With nobody to learn from: the sum of the witnesses.

    >>> rng = np.random.default_rng(1)
    >>> core, people = rng.normal((0, 8), 2, (60, 2)), rng.normal((0, -8), 2, (900, 2))  # the first witness knows nothing
    >>> ratio = fitted(core, people)
    >>> [round(float(ratio(np.array([one]))[0])) for one in ([9.0, -8.0], [-9.0, 8.0])]
    [-5, 5]
    """
    if not len(core) or not len(outside):
        return lambda witnesses: np.asarray(witnesses.sum(axis=1))
    both = _scaled(np.concatenate([core, outside]))
    is_core = np.arange(len(both)) < len(core)
    # As much in all as twice the scarcer kind: a few accounts must not pretend to be many.
    weight = np.where(is_core, 0.5 / len(core), 0.5 / len(outside)) * min(len(core), len(outside))
    design = np.column_stack([np.ones(len(both)), both])
    fit = np.zeros(design.shape[1])
    for _ in range(_STEPS):  # Newton's
        p = expit(design @ fit)
        gradient = design.T @ (weight * (is_core - p)) - _RIDGE * fit
        curvature = (design * (weight * p * (1 - p))[:, None]).T @ design + _RIDGE * np.eye(len(fit))
        before, fit = fit, fit + np.linalg.solve(curvature, gradient)
        if (fit == before).all():  # every further step would be the same
            break
    slopes = np.maximum(fit[1:], 0.0)
    return lambda witnesses: np.asarray(fit[0] + _scaled(witnesses) @ slopes)


def _scaled(witnesses: Witnesses) -> Witnesses:
    return np.clip(witnesses / _SCALE, -_LIMIT, _LIMIT)
