"""The campaign: one pool of prompts, split over many accounts by a relay.

It behaves as public account-pool relays do: a conversation sticks to its account; the account of each new one is chosen
by load or in turn, without regard to content, so that the accounts' topic mixes are exchangeable draws from one pool.
Everything that could be hidden is hidden: prompts of the same kind as honest people's, volumes of a light user, one
popular client, home networks, payment families and sign-up promotions that honest people have too, pauses like
people's. What is left is structure.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, model_validator

from stillwatch.errors import SettingsError
from stillwatch.simulator.conversation import Conversation, Traced, World, unfold
from stillwatch.simulator.group import Group, Languages, PerDay, Share, Speech, TurnsMean
from stillwatch.simulator.identity import ASSISTANT_PROMPT, DAY_S, Client, Identity, Tier, quickstart
from stillwatch.simulator.interests import BROAD, Interests
from stillwatch.simulator.population import individual
from stillwatch.simulator.rhythm import DAY_HOURS, HOUR_S, POISSON, arrivals, turns
from stillwatch.simulator.seeds import Shuffle, pick_weighted
from stillwatch.simulator.texts import TextSource
from stillwatch.verdict import AccountKind

_TIERS: Final[tuple[Tier, ...]] = ("free", "plus", "developer")
_TIER_SHARES: Final = (0.1, 0.55, 0.35)
# A popular client, by its place in the market's list: the Python SDK.
_POPULAR_CLIENT: Final = 5


class Campaign(Group):
    label: ClassVar[AccountKind] = "attack"
    kind: Literal["campaign"] = "campaign"
    accounts: Annotated[int, Field(ge=2, le=200_000)]
    # 28.8 million requests over 25,000 accounts and 45 days.
    requests_per_day: PerDay = 26.0
    # Share of conversations that are not from the pool but what this account's cover person would ask.
    cover_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    choice: Literal["least_used", "round_robin"] = "least_used"
    # Least used within this window, as providers count their limits.
    window_h: Annotated[int, Field(ge=1, le=24)] = 5
    # Hours a day in which an account rests, at its own time; 0: it is used around the clock.
    rest_hours: Annotated[int, Field(ge=0, le=20)] = 0
    # Accounts are registered in so many batches, from `signup_days_before` on, over `signup_span_days`.
    cohorts: Annotated[int, Field(ge=1, le=20)] = 3
    signup_days_before: Annotated[float, Field(ge=0, le=365)] = 21.0
    signup_span_days: Annotated[float, Field(ge=0, le=365)] = 18.0
    payment_families: Annotated[int, Field(ge=1, le=20)] = 4
    # Share of accounts whose payment or sign-up is the campaign's; the others look like anybody.
    linked_share: Share = 0.9
    client: Literal["popular", "own"] = "popular"
    turns_mean: TurnsMean = 2.35
    pause_median_s: Annotated[float, Field(gt=0)] = 75.0
    languages: Languages = Field(default={"en": 1.0})
    # The pool's mix of topics, around the popularity among honest people: as broad as a broad person's.
    concentration: Annotated[float, Field(gt=0)] = BROAD.median_concentration

    @model_validator(mode="after")
    def _batches_have_accounts(self) -> Campaign:
        if self.cohorts > self.accounts:
            raise ValueError(f"{self.cohorts} cohorts for {self.accounts} accounts: use at most one cohort an account")
        return self

    def roster(self, world: World) -> list[Identity]:
        rng, market = self.stream(world, "registration"), world.market
        families = market.middling_payments(rng, self.payment_families)
        promotions = market.middling_promotions(rng, self.cohorts)
        client = market.clients[_POPULAR_CLIENT]
        if self.client == "own":
            client = Client("sdk", client.user_agent, f"t13d1715h2_{market.token('ja4', self.name)[:12]}_02713d6af862")
        sent = quickstart()
        system = rng.choice((None, ASSISTANT_PROMPT))
        out: list[Identity] = []
        for index in range(self.accounts):
            cohort = index * self.cohorts // self.accounts
            started = -self.signup_days_before + self.signup_span_days * cohort / max(1, self.cohorts - 1)
            # One registration after the other, over a day or two.
            created = world.start_unix_s + int((started + rng.expovariate(1.0 / 1.2)) * DAY_S)
            tier = _TIERS[pick_weighted(rng, _TIER_SHARES)]
            person = individual(world, rng, self.name, index, self.label, tier, created)
            linked_payment, linked_signup = rng.random() < self.linked_share, rng.random() < self.linked_share
            out.append(
                replace(
                    person,
                    payment=rng.choice(families) if linked_payment and tier != "free" else person.payment,
                    signup=promotions[cohort] if linked_signup else person.signup,
                    asn=market.access_asn(rng),
                    client=client,
                    habits=sent,
                    system=system,
                )
            )
        return out

    def traffic(self, world: World, texts: TextSource) -> list[Iterator[Traced]]:
        return [unfold(world, texts, self._conversations(world, texts), self.stream(world, "answers"))]

    def _conversations(self, world: World, texts: TextSource) -> Iterator[Conversation]:
        rng = self.stream(world, "relay")
        identities = self.roster(world)
        base = self.base_interests(texts)
        pool = _Pool(self, world, texts, base.around(self.concentration, rng))
        covers = [base.person(BROAD, rng) for _ in identities] if self.cover_share else []
        relay = _Relay(self, world, identities, rng)
        spoken = Speech(texts, self.languages)
        for number, at_s in enumerate(arrivals(rng, relay.expected_by_hour(), POISSON)):
            count = turns(rng, self.turns_mean)
            chosen = relay.choose(at_s, count)
            covered = rng.random() < self.cover_share
            language = spoken.draw(rng)
            if covered:
                topic = covers[chosen].draw(rng)
                index = rng.randrange(texts.size(topic, language))
            else:
                topic, index = pool.next(rng, language)
            yield Conversation(
                at_s, identities[chosen], number, topic, language, index, count, self.pause_median_s, covered
            )


class _Pool:
    """The prompts to be harvested: random topics of one mix, each prompt once."""

    def __init__(self, campaign: Campaign, world: World, texts: TextSource, mix: Interests) -> None:
        self._campaign, self._world, self._texts, self._mix = campaign, world, texts, mix
        self._orders: dict[tuple[int, str], tuple[Shuffle, int]] = {}

    def next(self, rng: random.Random, language: str) -> tuple[int, int]:
        # A topic that is used up is passed over; a thousand in a row means that the pool is dry.
        for _ in range(1_000):
            topic = self._mix.draw(rng)
            order, used = self._orders.get((topic, language)) or (self._order(topic, language), 0)
            if used < order.size:
                self._orders[topic, language] = (order, used + 1)
                return topic, order.at(used)
        raise SettingsError(
            f"groups.{self._campaign.name}",
            "the campaign has used every prompt of its pool once",
            "Give more texts or variants of them, or choose fewer days, accounts or requests_per_day",
        )

    def _order(self, topic: int, language: str) -> Shuffle:
        return Shuffle(self._texts.size(topic, language), self._campaign.stream(self._world, "pool", topic, language))


class _Relay:
    """Chooses accounts. Knows load, working hours and who has signed up; nothing of content."""

    def __init__(self, campaign: Campaign, world: World, identities: Sequence[Identity], rng: random.Random) -> None:
        self._campaign = campaign
        self._days = world.days
        self._created_s = [identity.created_unix_s - world.start_unix_s for identity in identities]
        self._rest_from_h = [rng.randrange(DAY_HOURS) for _ in identities]
        self._used = [0] * len(identities)
        self._hour = self._window = -1
        self._queue: list[tuple[int, int, int]] = []  # (used in this window, when last chosen, account)
        self._turn_of: list[int] = [0] * len(identities)
        self._chosen = 0

    def expected_by_hour(self) -> Iterator[float]:
        """New conversations in each hour: accounts that have signed up by its beginning, each with its rate."""
        rate = self._campaign.requests_per_day / DAY_HOURS / self._campaign.turns_mean
        for hour in range(self._days * DAY_HOURS):
            yield rate * len(self._working(hour)) * DAY_HOURS / (DAY_HOURS - self._campaign.rest_hours)

    def choose(self, at_s: float, load: int) -> int:
        hour = int(at_s // HOUR_S)
        if hour != self._hour:
            self._begin_hour(hour)
        used, _, account = self._queue[0]
        self._chosen += 1
        self._used[account] = used + load
        self._turn_of[account] = self._chosen
        heapq.heapreplace(self._queue, self._entry(account))
        return account

    def _entry(self, account: int) -> tuple[int, int, int]:
        load = self._used[account] if self._campaign.choice == "least_used" else 0
        return load, self._turn_of[account], account

    def _begin_hour(self, hour: int) -> None:
        if hour // self._campaign.window_h != self._window:
            self._window = hour // self._campaign.window_h
            self._used = [0] * len(self._used)
        self._hour = hour
        self._queue = [self._entry(account) for account in self._working(hour)]
        heapq.heapify(self._queue)

    def _working(self, hour: int) -> list[int]:
        rest = self._campaign.rest_hours
        return [
            account
            for account, created_s in enumerate(self._created_s)
            if created_s <= hour * HOUR_S and (hour - self._rest_from_h[account]) % DAY_HOURS >= rest
        ]
