"""What every kind of group is: a frozen, checked part of a scenario that knows its accounts and their traffic.

A new kind is a subclass in a module of its own and one name in ``scenario.AnyGroup``.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from stillwatch.simulator.conversation import Conversation, Traced, World, unfold
from stillwatch.simulator.identity import Identity
from stillwatch.simulator.interests import Interests, restricted
from stillwatch.simulator.rhythm import arrivals, turns
from stillwatch.simulator.seeds import pick_weighted, stream
from stillwatch.simulator.texts import TextSource
from stillwatch.verdict import AccountKind

Share = Annotated[float, Field(ge=0, le=1)]
PerDay = Annotated[float, Field(gt=0, le=100_000)]
# Below 1 a conversation would not exist; above 20 it is not a conversation but a loop.
TurnsMean = Annotated[float, Field(ge=1, le=20)]
Languages = Annotated[dict[str, Annotated[float, Field(gt=0)]], Field(min_length=1)]


class Group(BaseModel, ABC):
    model_config = ConfigDict(frozen=True, extra="forbid")
    label: ClassVar[AccountKind]

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    # Patterns of topic names that this group asks about ("*/code"); empty: everything.
    topics: tuple[str, ...] = ()

    @abstractmethod
    def roster(self, world: World) -> list[Identity]:
        """Its accounts, in a fixed order."""

    @abstractmethod
    def traffic(self, world: World, texts: TextSource) -> list[Iterator[Traced]]:
        """Its sources of events, each in time order."""

    def stream(self, world: World, *path: str | int) -> random.Random:
        return stream(world.seed, self.name, *path)

    def base_interests(self, texts: TextSource) -> Interests:
        return restricted(texts.popularity, texts.topics, self.topics)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How one account uses the service. ``expected_by_hour`` is read once."""

    identity: Identity
    interests: Interests
    expected_by_hour: Iterable[float]
    burst_shape: float
    turns_mean: float
    pause_median_s: float
    languages: dict[str, float]


def conduct(world: World, texts: TextSource, behaviour: Behaviour, rng: random.Random) -> Iterator[Traced]:
    """The events of one account that acts by itself."""
    return unfold(world, texts, _conversations(texts, behaviour, rng), rng)


def _conversations(texts: TextSource, behaviour: Behaviour, rng: random.Random) -> Iterator[Conversation]:
    spoken = Speech(texts, behaviour.languages)
    for number, at_s in enumerate(arrivals(rng, behaviour.expected_by_hour, behaviour.burst_shape)):
        topic, language = behaviour.interests.draw(rng), spoken.draw(rng)
        index = rng.randrange(texts.size(topic, language))
        count = turns(rng, behaviour.turns_mean)
        yield Conversation(at_s, behaviour.identity, number, topic, language, index, count, behaviour.pause_median_s)


class Speech:
    """Languages by share; one that the texts do not have becomes their first."""

    __slots__ = ("_languages", "_shares")

    def __init__(self, texts: TextSource, shares: dict[str, float]) -> None:
        known = texts.languages
        self._languages = [language if language in known else known[0] for language in shares]
        self._shares = list(shares.values())

    def draw(self, rng: random.Random) -> str:
        if len(self._languages) == 1:
            return self._languages[0]
        return self._languages[pick_weighted(rng, self._shares)]
