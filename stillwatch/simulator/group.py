"""What every kind of group is: a frozen, checked part of a scenario that knows its accounts and their traffic.

A new kind is a subclass in a module of its own and one name in ``scenario.AnyGroup``.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, Self

from pydantic import BaseModel, ConfigDict, Field

from stillwatch.simulator.conversation import Conversation, Traced, World, unfold
from stillwatch.simulator.identity import Identity
from stillwatch.simulator.interests import BROAD, Interests, restricted
from stillwatch.simulator.rhythm import turns
from stillwatch.simulator.seeds import pick_weighted, stream
from stillwatch.simulator.texts import TextSource
from stillwatch.verdict import AccountKind

Share = Annotated[float, Field(ge=0, le=1)]
PerDay = Annotated[float, Field(gt=0, le=100_000)]
# Below 1 a conversation would not exist; above 20 it is not a conversation but a loop.
TurnsMean = Annotated[float, Field(ge=1, le=20)]
Languages = Annotated[dict[str, Annotated[float, Field(gt=0)]], Field(min_length=1)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
# A segment is a market that several groups work in, as broad as the attack pools that were measured.
_SEGMENT_CONCENTRATION: Final = BROAD.median_concentration
# A person comes back to what the last few conversations were about.
_REMEMBERED: Final = 8


class Group(BaseModel, ABC):
    model_config = ConfigDict(frozen=True, extra="forbid")
    label: ClassVar[AccountKind]
    # The key that grows and shrinks with the population; the others say how each member behaves.
    sized_by: ClassVar[str] = "copies"

    name: Name
    # So many groups like this one, each with accounts, texts and habits of its own: `name-1`, `name-2`, …
    copies: Annotated[int, Field(ge=1, le=10_000)] = 1
    # Patterns of topic names that this group asks about ("*/code"); empty: everything.
    topics: tuple[str, ...] = ()
    # Groups that name the same segment have one mix of topics on average: a team can work in a campaign's own field.
    segment: Name | None = None

    @abstractmethod
    def roster(self, world: World) -> list[Identity]:
        """Its accounts, in a fixed order."""

    @abstractmethod
    def traffic(self, world: World, texts: TextSource) -> list[Iterator[Traced]]:
        """Its sources of events, each in time order."""

    def stream(self, world: World, *path: str | int) -> random.Random:
        return stream(world.seed, self.name, *path)

    def base_interests(self, world: World, texts: TextSource) -> Interests:
        """What this group's members ask about on average."""
        everything = restricted(texts.popularity, texts.topics, self.topics)
        if self.segment is None:
            return everything
        return everything.around(_SEGMENT_CONCENTRATION, stream(world.seed, "segment", self.segment))

    def mix(self, world: World, texts: TextSource, concentration: float, rng: random.Random) -> Interests:
        """The one mix of topics that a product, a company or a pool has: its segment's, or one of its own."""
        base = self.base_interests(world, texts)
        return base if self.segment is not None else base.around(concentration, rng)

    def expanded(self) -> list[Self]:
        """One group for each copy."""
        if self.copies == 1:
            return [self]
        return [
            self.model_copy(update={"name": f"{self.name}-{number}", "copies": 1})
            for number in range(1, self.copies + 1)
        ]

    def scaled(self, factor: float) -> Self:
        """The same behaviour with more or fewer accounts; never fewer than one group."""
        size = max(1, round(getattr(self, self.sized_by) * factor))
        return type(self).model_validate({**self.model_dump(), self.sized_by: size})


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
    # Share of conversations that go on with the topic of one of the last few.
    return_share: float = 0.0


def conduct(world: World, texts: TextSource, behaviour: Behaviour, rng: random.Random) -> Iterator[Traced]:
    """The events of one account that acts by itself."""
    return unfold(world, texts, _conversations(world, texts, behaviour, rng), rng)


def _conversations(world: World, texts: TextSource, behaviour: Behaviour, rng: random.Random) -> Iterator[Conversation]:
    spoken = Speech(texts, behaviour.languages)
    recent: deque[int] = deque(maxlen=_REMEMBERED)
    starts = world.arrivals.starts(rng, behaviour.expected_by_hour, behaviour.burst_shape)
    for number, at_s in enumerate(starts):
        if recent and rng.random() < behaviour.return_share:
            topic = rng.choice(recent)
        else:
            topic = behaviour.interests.draw(rng)
        language = spoken.draw(rng)
        if behaviour.return_share:
            recent.append(topic)
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
