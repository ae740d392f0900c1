"""A reseller: real customers behind few keys, each with interests, words, parameters and hours of their own.

To the platform one account is many people, and the keys are exactly as alike as a campaign's accounts, because a load
balancer deals the customers' conversations out to them. A gateway (:mod:`~stillwatch.simulator.services`) is the smooth
limit of so many customers that nobody stands out; a reseller has some hundred, and the largest is a tenth of it all.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from stillwatch.simulator.conversation import Conversation, Traced, World, unfold
from stillwatch.simulator.group import Group, Languages, PerDay, Speech, TurnsMean
from stillwatch.simulator.identity import Identity, habits, system_prompt
from stillwatch.simulator.interests import BROAD, FOCUSED, Interests
from stillwatch.simulator.rhythm import BURSTY, EVENING, OFFICE, TIME_ZONES, hourly, turns
from stillwatch.simulator.seeds import pick_weighted, zipf
from stillwatch.simulator.services import Keys, company_keys
from stillwatch.simulator.texts import TextSource
from stillwatch.verdict import AccountKind

_SIZE_EXPONENT: Final = 0.8
_RETRIES: Final = 2
_RETRY_S: Final = 3.0


class Reseller(Group):
    label: ClassVar[AccountKind] = "reseller"
    kind: Literal["reseller"] = "reseller"
    keys: Keys
    customers: Annotated[int, Field(ge=2, le=100_000)] = 200
    requests_per_day_per_key: PerDay = 150.0
    turns_mean: TurnsMean = 2.35
    languages: Languages = Field(default={"en": 0.78, "es": 0.08, "de": 0.05, "fr": 0.05, "zh": 0.04})

    def roster(self, world: World) -> list[Identity]:
        rng = self.stream(world, "company")
        client = world.market.client(rng, "sdk")
        return company_keys(self, world, rng, self.keys, habits(rng, client), None, None)

    def traffic(self, world: World, texts: TextSource) -> list[Iterator[Traced]]:
        identities, base = self.roster(world), self.base_interests(world, texts)
        shares = zipf(self.customers, _SIZE_EXPONENT)
        per_day = self.requests_per_day_per_key * self.keys / self.turns_mean
        customers = [
            _Customer(self, world, texts, base, identities, customer, per_day * shares[customer])
            for customer in range(self.customers)
        ]
        balancer = _Balancer(self.stream(world, "balancer"), customers, [identity.account for identity in identities])
        return [unfold(world, texts, balancer.conversations(), self.stream(world, "answers"), balancer)]


class _Balancer:
    """Knows nothing of content, as a campaign's relay; and what fails on one key it tries on another, as relays do."""

    def __init__(self, rng: random.Random, customers: list[_Customer], accounts: list[str]) -> None:
        self._rng, self._customers, self._accounts, self._keys = rng, customers, accounts, len(accounts)

    def conversations(self) -> Iterator[Conversation]:
        merged = heapq.merge(*(customer.starts() for customer in self._customers))
        for number, (at_s, customer) in enumerate(merged):
            yield self._customers[customer].conversation(at_s, number, self._rng.randrange(self._keys))

    def refused(self, conversation: Conversation) -> bool:
        return False

    def failed(self, conversation: Conversation, status: int) -> float | None:
        if conversation.attempt >= _RETRIES or self._keys < 2:
            return None
        conversation.attempt += 1
        others = [key for key in range(self._keys) if self._accounts[key] != conversation.identity.account]
        conversation.move(self._customers[conversation.place].on_key(self._rng.choice(others)), conversation.place)
        return self._rng.expovariate(1.0 / _RETRY_S)


class _Customer:
    """One end customer, who has the same parameters and system prompt on whichever key the balancer takes."""

    def __init__(
        self, group: Reseller, world: World, texts: TextSource, base: Interests, keys: list[Identity], number: int,
        per_day: float,
    ) -> None:  # fmt: skip
        self._rng = rng = group.stream(world, number, "customer")
        self._group, self._world, self._texts, self._number, self._per_day = group, world, texts, number, per_day
        self._interests = base.person(FOCUSED if rng.random() < 0.5 else BROAD, rng)
        tongue = rng.choices(list(group.languages), list(group.languages.values()))[0]
        self._speech = Speech(texts, {tongue: 1.0})
        client = world.market.client(rng, "sdk")
        sent, system = habits(rng, client), system_prompt(rng, client)
        self._sent, self._system, self._keys = sent, system, keys
        self._on_key: dict[int, Identity] = {}

    def starts(self) -> Iterator[tuple[float, int]]:
        rng: random.Random = self._rng
        zone = TIME_ZONES[pick_weighted(rng, [share for _, share in TIME_ZONES])][0]
        by_hour = hourly(
            rng, self._per_day, OFFICE if rng.random() < 0.6 else EVENING,
            start_unix_s=self._world.start_unix_s, days=self._world.days, utc_offset_h=zone, day_sigma=0.7,
        )  # fmt: skip
        for at_s in self._world.arrivals.starts(rng, by_hour, BURSTY):
            yield at_s, self._number

    def conversation(self, at_s: float, number: int, key: int) -> Conversation:
        rng = self._rng
        topic, language = self._interests.draw(rng), self._speech.draw(rng)
        index = rng.randrange(self._texts.size(topic, language))
        count = turns(rng, self._group.turns_mean)
        identity = self.on_key(key)
        return Conversation(at_s, identity, number, topic, language, index, count, 75.0, place=self._number)

    def on_key(self, key: int) -> Identity:
        identity = self._on_key.get(key)
        if identity is None:
            identity = self._on_key[key] = replace(self._keys[key], habits=self._sent, system=self._system)
        return identity
