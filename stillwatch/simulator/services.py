"""Honest programs: what looks most like a campaign and must not be revoked.

A SaaS product spreads its users over several keys, so its keys are exactly as alike as a campaign's accounts. A gateway
resells to many people, so its keys are alike and broad. An evaluation run asks about everything, once, at machine
speed. What sets them apart is verified identity, narrow coverage, their own system prompt and wording, and repetition.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from stillwatch.simulator.conversation import Conversation, Traced, World, unfold
from stillwatch.simulator.group import Behaviour, Group, PerDay, TurnsMean, conduct
from stillwatch.simulator.identity import MODELS, Habits, Identity, own_system_prompt
from stillwatch.simulator.interests import Interests
from stillwatch.simulator.population import signed_up
from stillwatch.simulator.rhythm import EVENING, HOUR_S, POISSON, WORLD, hourly
from stillwatch.simulator.seeds import Shuffle
from stillwatch.simulator.texts import TextSource
from stillwatch.verdict import AccountKind

Keys = Annotated[int, Field(ge=1, le=10_000)]
# Where the users behind the keys live: the day's curve of one region has a night, that of the world hardly.
Reach = Literal["region", "world"]
_PRODUCT_FRAME: Final = "Customer message:\n{text}\n\nReply as the product's assistant, at most 120 words."


class Saas(Group):
    """One product, its load spread over several keys: one narrow mix of topics, its own prompt and wording."""

    label: ClassVar[AccountKind] = "saas"
    kind: Literal["saas"] = "saas"
    keys: Keys
    requests_per_day_per_key: PerDay = 120.0
    # A small concentration means few topics: a product does one thing.
    concentration: Annotated[float, Field(gt=0)] = 6.0
    reach: Reach = "region"
    turns_mean: TurnsMean = 1.6

    def roster(self, world: World) -> list[Identity]:
        rng = self.stream(world, "company")
        sent = Habits(MODELS[1], (0.2,), max_tokens=1_024, stream=True)
        return company_keys(self, world, rng, self.keys, sent, own_system_prompt(rng), _PRODUCT_FRAME)

    def traffic(self, world: World, texts: TextSource) -> list[Iterator[Traced]]:
        product = self.mix(world, texts, self.concentration, self.stream(world, "interests"))
        return [_key(self, world, texts, identity, product) for identity in self.roster(world)]


class Gateway(Group):
    """An enterprise gateway: many people behind few keys, whose mixes average out."""

    label: ClassVar[AccountKind] = "gateway"
    kind: Literal["gateway"] = "gateway"
    keys: Keys
    requests_per_day_per_key: PerDay = 150.0
    # An average over so many people that little is left of each one's interests.
    concentration: Annotated[float, Field(gt=0)] = 400.0
    reach: Reach = "region"
    turns_mean: TurnsMean = 2.35

    def roster(self, world: World) -> list[Identity]:
        sent = Habits(MODELS[0], (0.7, 1.0, 0.0), max_tokens=4_096, stream=True)
        return company_keys(self, world, self.stream(world, "company"), self.keys, sent, None, None)

    def traffic(self, world: World, texts: TextSource) -> list[Iterator[Traced]]:
        users = self.mix(world, texts, self.concentration, self.stream(world, "interests"))
        return [_key(self, world, texts, identity, users) for identity in self.roster(world)]


class Evaluation(Group):
    """A benchmark that runs once a day: a fixed suite over all topics, one turn each, temperature 0, evenly paced."""

    label: ClassVar[AccountKind] = "evaluation"
    kind: Literal["evaluation"] = "evaluation"
    keys: Keys = 1
    suite: Annotated[int, Field(ge=10, le=1_000_000)] = 400
    hour_utc: Annotated[int, Field(ge=0, le=23)] = 2
    gap_s: Annotated[float, Field(gt=0, le=600)] = 6.0

    def roster(self, world: World) -> list[Identity]:
        sent = Habits(MODELS[0], (0.0,), max_tokens=2_048, stream=False)
        return company_keys(self, world, self.stream(world, "company"), self.keys, sent, None, None)

    def traffic(self, world: World, texts: TextSource) -> list[Iterator[Traced]]:
        # One source for all keys: items are dealt out in turn.
        return [unfold(world, texts, self._items(world, texts), self.stream(world, "answers"))]

    def _items(self, world: World, texts: TextSource) -> Iterator[Conversation]:
        identities = self.roster(world)
        base, language = self.base_interests(world, texts), texts.languages[0]
        asked = [topic for topic, weight in enumerate(base.weights) if weight > 0]
        orders = {topic: Shuffle(texts.size(topic, language), self.stream(world, "suite", topic)) for topic in asked}
        for day in range(world.days):
            at_s = day * 24 * HOUR_S + self.hour_utc * HOUR_S
            for item in range(self.suite):
                topic = asked[item % len(asked)]
                order = orders[topic]
                index = order.at(item // len(asked) % order.size)
                identity = identities[item % len(identities)]
                yield Conversation(at_s, identity, day * self.suite + item, topic, language, index, 1, 1.0)
                at_s += self.gap_s


def company_keys(
    group: Group, world: World, rng: random.Random, keys: int, sent: Habits, system: str | None, frame: str | None
) -> list[Identity]:
    """Keys of one verified company on one server."""
    market = world.market
    client = market.client(rng, "sdk")
    created, payment, asn = signed_up(world, rng), market.payment(rng, "business"), market.cloud_asn(rng)
    return [
        Identity(
            account=market.token("account", group.name, index),
            group=group.name,
            kind=group.label,
            organisation=market.token("organisation", group.name),
            verification="contract" if group.label == "gateway" else "business",
            tier="business",
            created_unix_s=created + index % 600,
            payment=payment,
            signup=market.token("signup", group.name),
            address=market.token("address", group.name),
            asn=asn,
            client=client,
            habits=sent,
            system=system,
            frame=frame,
        )
        for index in range(keys)
    ]


def _key(
    group: Saas | Gateway, world: World, texts: TextSource, identity: Identity, interests: Interests
) -> Iterator[Traced]:
    rng = group.stream(world, identity.account, "behaviour")
    conversations = group.requests_per_day_per_key / group.turns_mean
    curve = WORLD if group.reach == "world" else EVENING
    by_hour = hourly(rng, conversations, curve, start_unix_s=world.start_unix_s, days=world.days, day_sigma=0.1)
    behaviour = Behaviour(identity, interests, by_hour, POISSON, group.turns_mean, 45.0, {"en": 1.0})
    return conduct(world, texts, behaviour, rng)
