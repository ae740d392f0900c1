"""The prompts to be harvested: random topics of one mix, each prompt once."""

from __future__ import annotations

import random
from collections.abc import Callable

from stillwatch.errors import SettingsError
from stillwatch.simulator.interests import Interests
from stillwatch.simulator.seeds import Shuffle
from stillwatch.simulator.texts import TextSource


class Pool:
    """``stream(topic, language)`` gives the random numbers behind the order in which a topic is gone through."""

    def __init__(
        self, campaign: str, texts: TextSource, mix: Interests, stream: Callable[[int, str], random.Random]
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
        raise SettingsError(
            f"groups.{self._campaign}",
            "the campaign has used every prompt of its pool once",
            "Give more texts or variants of them, or choose fewer days, accounts or requests_per_day",
        )

    def _order(self, topic: int, language: str) -> Shuffle:
        return Shuffle(self.texts.size(topic, language), self._stream(topic, language))
