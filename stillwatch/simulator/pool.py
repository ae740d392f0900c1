"""The prompts to be harvested: topics of one mix, drawn or in order, each prompt once."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate

import numpy as np

from stillwatch.errors import SettingsError
from stillwatch.simulator.interests import Interests
from stillwatch.simulator.seeds import Shuffle
from stillwatch.simulator.texts import TextSource


class InOrder:
    """A data set that is sorted by topic: each has the share of the prompts that it has in the mix. At the end it begins anew.

    >>> in_order = InOrder(Interests([1.0, 3.0]), 8, random.Random(1))
    >>> [in_order.draw() for _ in range(10)]
    [1, 1, 1, 1, 1, 1, 0, 0, 1, 1]
    """

    def __init__(self, mix: Interests, prompts: int, rng: random.Random) -> None:
        """``rng``: for the order of topics."""
        weights = mix.weights
        self._topics = np.flatnonzero(weights).tolist()
        rng.shuffle(self._topics)
        self._cumulative = list(accumulate(weights[self._topics].tolist()))
        self._prompts, self._used = prompts, 0

    def draw(self, _: random.Random | None = None) -> int:
        topic = int(self._topics[self._place()])
        self._used += 1
        return topic

    def skip(self) -> None:
        """To the next topic: this one has no more texts."""
        done = self._cumulative[place := self._place()] / self._cumulative[-1]
        passed = self._used // self._prompts * self._prompts
        last = place == len(self._cumulative) - 1
        self._used = max(passed + (self._prompts if last else round(done * self._prompts)), self._used)

    def _place(self) -> int:
        at = (self._used % self._prompts + 0.5) / self._prompts * self._cumulative[-1]
        return bisect_right(self._cumulative, at, 0, len(self._cumulative) - 1)


class Pool:
    """``stream(topic, language)`` gives the random numbers behind the order in which a topic is gone through."""

    def __init__(
        self, campaign: str, texts: TextSource, mix: Interests | InOrder, stream: Callable[[int, str], random.Random]
    ) -> None:
        self.texts = texts
        self._campaign, self._mix, self._stream = campaign, mix, stream
        self._orders: dict[tuple[int, str], tuple[Shuffle, int]] = {}

    def next(self, rng: random.Random, language: str) -> tuple[int, int]:
        """Topic and index of a prompt that was not used before."""
        # A topic that is used up is passed over; a thousand in a row means that the pool is dry.
        for _ in range(1_000):
            topic = self._mix.draw(rng)
            order, used = self._orders.get((topic, language)) or (self._order(topic, language), 0)
            if used < order.size:
                self._orders[topic, language] = (order, used + 1)
                return topic, order.at(used)
            if isinstance(self._mix, InOrder):
                self._mix.skip()
        raise SettingsError(
            f"groups.{self._campaign}",
            "the campaign has used every prompt of its pool once",
            "Give more texts or variants of them, or choose fewer days, accounts or requests_per_day",
        )

    def _order(self, topic: int, language: str) -> Shuffle:
        return Shuffle(self.texts.size(topic, language), self._stream(topic, language))
