"""The campaign: one pool of prompts, split over many accounts by a relay.

It behaves as public account-pool relays do (:mod:`~stillwatch.simulator.dispatch`): the account of a conversation is
chosen by load, in turn or by weight, without regard to content, so that the accounts' topic mixes are exchangeable draws
from one pool. Everything that could be hidden is hidden: prompts of the same kind as honest people's, volumes of a light
user, one popular client, home networks, payment families and sign-up promotions that honest people have too, pauses like
people's; with ``personas`` also a person's hours and ups and downs. What is left is structure.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from functools import partial
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, model_validator

from stillwatch.simulator.conversation import Conversation, Traced, World, unfold
from stillwatch.simulator.dispatch import Dispatcher, lost_at_s
from stillwatch.simulator.group import Group, Languages, PerDay, Share, Speech, TurnsMean
from stillwatch.simulator.identity import Identity
from stillwatch.simulator.interests import BROAD, Interests
from stillwatch.simulator.pool import InOrder, Pool
from stillwatch.simulator.registration import MAX_GENERATIONS, Registration
from stillwatch.simulator.rhythm import BURSTY, EVENING, HOUR_S, OFFICE, POISSON, TIME_ZONES, hourly, turns
from stillwatch.simulator.seeds import pick_weighted
from stillwatch.simulator.texts import TextSource
from stillwatch.verdict import AccountKind

# A persona's volume scatters as a person's does, without those who write hundreds: the relay needs every account.
_PERSONA_SIGMA: Final = 0.6


class Campaign(Group):
    label: ClassVar[AccountKind] = "attack"
    sized_by: ClassVar[str] = "accounts"
    kind: Literal["campaign"] = "campaign"
    accounts: Annotated[int, Field(ge=2, le=200_000)]
    # 28.8 million requests over 25,000 accounts and 45 days.
    requests_per_day: PerDay = 26.0
    # Share of conversations that are not from the pool but what this account's cover person would ask.
    cover_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    choice: Literal["least_used", "round_robin", "weighted"] = "least_used"
    # Least used within this window, as providers count their limits.
    window_h: Annotated[int, Field(ge=1, le=24)] = 5
    # How long a conversation stays on its account: to its end, until `sticky_h` without a call, or `sticky_h` in all.
    sticky: Literal["conversation", "renewed", "window"] = "conversation"
    sticky_h: Annotated[float, Field(gt=0, le=24)] = 1.0
    # Mean seconds until a call that was limited, failed or refused is tried on a sibling; 0: it is not.
    failover_s: Annotated[float, Field(ge=0, le=600)] = 0.0
    # Hours a day in which an account rests, at its own time; 0: it is used around the clock.
    rest_hours: Annotated[int, Field(ge=0, le=20)] = 0
    # Each account writes when one person would: time zone, day's curve, weekends, bursts, quiet days.
    personas: bool = False
    # Accounts are registered in so many batches, from `signup_days_before` on, over `signup_span_days`.
    cohorts: Annotated[int, Field(ge=1, le=20)] = 3
    signup_days_before: Annotated[float, Field(ge=0, le=365)] = 21.0
    signup_span_days: Annotated[float, Field(ge=0, le=365)] = 18.0
    # One by one over that span, not in batches.
    staggered: bool = False
    payment_families: Annotated[int, Field(ge=1, le=20)] = 4
    # strong: payment, sign-up and client; weak: one of the three, with some siblings; none: as strangers.
    linked: Literal["strong", "weak", "none"] = "strong"
    # Share of accounts whose payment or sign-up is the campaign's (strong); the others look like anybody.
    linked_share: Share = 0.9
    addresses: Literal["residential", "proxies"] = "residential"
    client: Literal["popular", "own"] = "popular"
    turns_mean: TurnsMean = 2.35
    pause_median_s: Annotated[float, Field(gt=0)] = 75.0
    languages: Languages = Field(default={"en": 1.0})
    # How the pool is worked through: each prompt a random draw, or topic after topic, once through in the scenario's days.
    order: Literal["shuffled", "pool"] = "shuffled"
    # The pool's mix of topics, around the popularity among honest people: as broad as a broad person's.
    concentration: Annotated[float, Field(gt=0)] = BROAD.median_concentration
    # All accounts use a new model within so many hours of its release; without: when they get around to it.
    pivot_within_h: Annotated[float, Field(ge=0, le=720)] | None = None
    # Share of accounts that the platform closes each day for other reasons, and hours until one is replaced.
    lost_per_day: Annotated[float, Field(ge=0, le=1)] = 0.0
    replace_after_h: Annotated[float, Field(gt=0, le=720)] | None = None

    @model_validator(mode="after")
    def _batches_have_accounts(self) -> Campaign:
        if self.cohorts > self.accounts:
            raise ValueError(f"{self.cohorts} cohorts for {self.accounts} accounts: use at most one cohort an account")
        return self

    def scaled(self, factor: float) -> Campaign:
        size = max(2, round(self.accounts * factor))
        return self.model_copy(update={"accounts": size, "cohorts": min(size, self.cohorts)})

    def roster(self, world: World) -> list[Identity]:
        """With replacements of accounts that are lost anyway; for those of banned ones see :meth:`reserves`."""
        registration = Registration(self, world)
        first = registration.first()
        return first + [
            registration.replacement(place, generation, world.start_unix_s + int(created_s))
            for place, identity in enumerate(first)
            for generation, created_s in self._planned(world, place, identity)
        ]

    def reserves(self, world: World) -> list[str]:
        """Account tokens of replacements that exist only if accounts are banned."""
        if self.replace_after_h is None:
            return []
        registration = Registration(self, world)
        return [
            registration.replacement_account(place, generation)
            for place, identity in enumerate(registration.first())
            for generation in range(1 + sum(1 for _ in self._planned(world, place, identity)), MAX_GENERATIONS + 1)
        ]

    def _planned(self, world: World, place: int, identity: Identity) -> Iterator[tuple[int, float]]:
        """Generations that sign up at these seconds if every loss is noticed at once; noticed later, they are fewer."""
        usable_s = float(identity.created_unix_s - world.start_unix_s)
        for generation in range(1, MAX_GENERATIONS + 1):
            lost_s = lost_at_s(self, world, place, generation - 1, usable_s)
            if self.replace_after_h is None or lost_s + self.replace_after_h * HOUR_S >= world.end_s:
                return
            usable_s = lost_s + self.replace_after_h * HOUR_S
            yield generation, usable_s

    def traffic(self, world: World, texts: TextSource) -> list[Iterator[Traced]]:
        rng = self.stream(world, "relay")
        mix = self.mix(world, texts, self.concentration, rng)
        if world.pool_texts is not None:
            mix = Interests(world.pool_texts.popularity)
        prompts = partial(self.stream, world, "pool")
        if self.order == "pool":
            expected = self.accounts * self.requests_per_day * world.days / self.turns_mean * (1 - self.cover_share)
            topics = InOrder(mix, max(1, round(expected)), self.stream(world, "order"))
            pool = Pool(self.name, world.pool_texts or texts, topics, prompts)
        else:
            pool = Pool(self.name, world.pool_texts or texts, mix, prompts)
        base = self.base_interests(world, texts)
        covers = [base.person(BROAD, rng) for _ in range(self.accounts)] if self.cover_share else []
        dispatcher = Dispatcher(self, world, rng)
        started = self._conversations(world, texts, pool, covers, dispatcher, rng)
        return [unfold(world, texts, started, self.stream(world, "answers"), dispatcher)]

    def _conversations(
        self, world: World, texts: TextSource, pool: Pool, covers: list[Interests], dispatcher: Dispatcher,
        rng: random.Random,
    ) -> Iterator[Conversation]:  # fmt: skip
        spoken, harvested = Speech(texts, self.languages), Speech(pool.texts, self.languages)
        own_texts = pool.texts if pool.texts is not texts else None
        starts = self._persona_starts(world) if self.personas else self._relay_starts(world, dispatcher, rng)
        for number, (at_s, place) in enumerate(starts):
            count = turns(rng, self.turns_mean)
            chosen = dispatcher.choose(at_s, count) if place is None else place
            # Before its account has signed up, or while it is being replaced, a persona is silent.
            if chosen is None or not dispatcher.usable(chosen, at_s):
                continue
            covered = rng.random() < self.cover_share
            source = None
            if covered:
                language = spoken.draw(rng)
                topic = covers[chosen].draw(rng)
                index = rng.randrange(texts.size(topic, language))
            else:
                language, source = harvested.draw(rng), own_texts
                topic, index = pool.next(rng, language)
            yield Conversation(
                at_s, dispatcher.identities[chosen], number, topic, language, index, count, self.pause_median_s,
                covered, texts=source, place=chosen,
            )  # fmt: skip

    def _relay_starts(
        self, world: World, dispatcher: Dispatcher, rng: random.Random
    ) -> Iterator[tuple[float, int | None]]:
        for at_s in world.arrivals.starts(rng, dispatcher.expected_by_hour(), POISSON):
            yield at_s, None

    def _persona_starts(self, world: World) -> Iterator[tuple[float, int | None]]:
        return heapq.merge(*(self._persona(world, place) for place in range(self.accounts)))

    def _persona(self, world: World, place: int) -> Iterator[tuple[float, int | None]]:
        """When the person whom this account plays would write."""
        rng = self.stream(world, "persona", place)
        volume = self.requests_per_day * rng.lognormvariate(-(_PERSONA_SIGMA**2) / 2.0, _PERSONA_SIGMA)
        zone = TIME_ZONES[pick_weighted(rng, [share for _, share in TIME_ZONES])][0]
        by_hour = hourly(
            rng, volume / self.turns_mean, OFFICE if rng.random() < 0.5 else EVENING,
            start_unix_s=world.start_unix_s, days=world.days, utc_offset_h=zone, day_sigma=0.7,
        )  # fmt: skip
        for at_s in world.arrivals.starts(rng, by_hour, BURSTY):
            yield at_s, place
