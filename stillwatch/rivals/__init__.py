"""Other people's methods behind the backtest's protocol, each from its paper, for figures side by side.

They are here to be compared with and stay as their papers describe them; each module says what had to give way. To add
one: a module with a :class:`~stillwatch.rivals.base.Rival`, a line in ``RIVALS``, and a test that checks a published
figure or a known property.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from stillwatch.rivals.base import Rival
from stillwatch.rivals.entropy import TopicEntropy
from stillwatch.rivals.fraudar import Fraudar
from stillwatch.rivals.hst import HalfSpaceTrees
from stillwatch.rivals.midas import Midas
from stillwatch.rivals.mmd import WindowedMmd
from stillwatch.rivals.prada import Prada
from stillwatch.rivals.rules import FixedWeights
from stillwatch.rivals.volume import Volume

RIVALS: Final[Mapping[str, Callable[[float | None], Rival]]] = {
    "entropy": TopicEntropy,
    "fraudar": Fraudar,
    "hst": HalfSpaceTrees,
    "midas": Midas,
    "mmd": WindowedMmd,
    "prada": Prada,
    "rules": FixedWeights,
    "volume": Volume,
}

__all__ = ["RIVALS", "Rival"]
