"""Honest people, alone and in teams."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, model_validator

from stillwatch.simulator.conversation import Traced, World
from stillwatch.simulator.group import Behaviour, Group, Languages, PerDay, Share, TurnsMean, conduct
from stillwatch.simulator.identity import DAY_S, Identity, Tier, habits, system_prompt, verification
from stillwatch.simulator.interests import BROAD, FOCUSED, UNEVEN, Breadth, Interests
from stillwatch.simulator.rhythm import BURSTY, DAY_HOURS, EVENING, OFFICE, TIME_ZONES, hourly
from stillwatch.simulator.seeds import pick_weighted
from stillwatch.simulator.texts import TextSource
from stillwatch.verdict import AccountKind

# A person who writes more than this a day is a program, and programs are kinds of their own.
MAX_PERSON_PER_DAY: Final = 600.0
_HOME_ZONES_H: Final = {"de": 1, "fr": 1, "es": -5, "zh": 8}
# Plans by volume: (up to requests a day, shares of free, plus, developer).
_TIERS: Final[tuple[tuple[float, tuple[float, float, float]], ...]] = (
    (5.0, (0.65, 0.25, 0.10)),
    (30.0, (0.30, 0.45, 0.25)),
    (math.inf, (0.08, 0.50, 0.42)),
)
_TIER_NAMES: Final[tuple[Tier, ...]] = ("free", "plus", "developer")


class People(Group):
    """Individuals. Volumes are lognormal: most write a few requests a day, a few write hundreds."""

    label: ClassVar[AccountKind] = "user"
    sized_by: ClassVar[str] = "count"
    kind: Literal["people"] = "people"
    count: Annotated[int, Field(ge=1, le=1_000_000)]
    # The mean is that of the disclosed campaign's accounts: volume alone can not separate.
    requests_per_day_median: PerDay = 8.0
    requests_per_day_mean: PerDay = 26.0
    # As broad as users of a forum, or of one where some have a single subject; the others as users of a chat assistant.
    focused_share: Share = 0.4
    uneven_share: Share = 0.0
    turns_mean: TurnsMean = 2.35
    pause_median_s: Annotated[float, Field(gt=0)] = 75.0
    languages: Languages = Field(default={"en": 0.78, "es": 0.08, "de": 0.05, "fr": 0.05, "zh": 0.04})
    # Share of conversations that come back to the topic of one of the last few; 0: each is drawn from the interests.
    return_share: Annotated[float, Field(ge=0, le=0.9)] = 0.0
    # Share of accounts that sign up while the scenario runs; as many of the others leave for good.
    churn_share: Annotated[float, Field(ge=0, le=0.9)] = 0.0
    # Everybody lives in these zones (hours from UTC); empty: all over the world.
    zones_h: tuple[Annotated[int, Field(ge=-12, le=14)], ...] = ()
    # Larks and owls: standard deviation of a person's own shift of the day's curve.
    chronotype_h: Annotated[float, Field(ge=0, le=6)] = 0.0

    @model_validator(mode="after")
    def _heavy_tail(self) -> People:
        if self.requests_per_day_mean < self.requests_per_day_median:
            raise ValueError("requests_per_day_mean below the median: volumes of people have a heavy upper tail")
        if self.focused_share + self.uneven_share > 1.0:
            raise ValueError("focused_share and uneven_share are more than everybody together")
        return self

    def roster(self, world: World) -> list[Identity]:
        return [self._identity(world, index) for index in range(self.count)]

    def traffic(self, world: World, texts: TextSource) -> list[Iterator[Traced]]:
        base = self.base_interests(world, texts)
        return [self._person(world, texts, base, index) for index in range(self.count)]

    def requests_per_day(self, world: World, index: int) -> float:
        """Of one person, on average over days."""
        rng = self.stream(world, index, "volume")
        sigma = math.sqrt(2.0 * math.log(self.requests_per_day_mean / self.requests_per_day_median))
        return min(MAX_PERSON_PER_DAY, rng.lognormvariate(math.log(self.requests_per_day_median), sigma))

    def _identity(self, world: World, index: int) -> Identity:
        rng = self.stream(world, index, "identity")
        volume = self.requests_per_day(world, index)
        tier = _TIER_NAMES[pick_weighted(rng, next(shares for limit, shares in _TIERS if volume <= limit))]
        created = signed_up(world, rng)
        from_h = self._stay_h(world, index)[0]
        if from_h > 0:
            created = world.start_unix_s + from_h * 3_600
        return individual(world, rng, self.name, index, self.label, tier, created)

    def _breadth(self, chance: float) -> Breadth:
        if chance < self.focused_share:
            return FOCUSED
        return UNEVEN if chance < self.focused_share + self.uneven_share else BROAD

    def _stay_h(self, world: World, index: int) -> tuple[int, int]:
        """The hours of the scenario in which this account is one: from, to."""
        end_h = world.days * DAY_HOURS
        if not self.churn_share:
            return 0, end_h
        rng = self.stream(world, index, "churn")
        comes, leaves = rng.random() < self.churn_share, rng.random() < self.churn_share
        from_h = rng.randrange(end_h) if comes else 0
        return from_h, rng.randrange(from_h, end_h) + 1 if leaves else end_h

    def _person(self, world: World, texts: TextSource, base: Interests, index: int) -> Iterator[Traced]:
        rng = self.stream(world, index, "behaviour")
        identity = self._identity(world, index)
        mother_tongue = rng.choices(list(self.languages), list(self.languages.values()))[0]
        zone = _HOME_ZONES_H.get(mother_tongue, TIME_ZONES[pick_weighted(rng, [share for _, share in TIME_ZONES])][0])
        if self.zones_h or self.chronotype_h:
            own = self.stream(world, index, "clock")
            zone = (own.choice(self.zones_h) if self.zones_h else zone) + round(own.gauss(0.0, self.chronotype_h))
        curve = OFFICE if rng.random() < (0.75 if identity.tier == "developer" else 0.4) else EVENING
        conversations = self.requests_per_day(world, index) / self.turns_mean
        breadth = self._breadth(rng.random())
        by_hour = hourly(
            rng, conversations, curve,
            start_unix_s=world.start_unix_s, days=world.days, utc_offset_h=zone, day_sigma=0.7,
        )  # fmt: skip
        from_h, to_h = self._stay_h(world, index)
        behaviour = Behaviour(
            identity=identity,
            interests=base.person(breadth, rng, self.return_share),
            expected_by_hour=(
                expected if from_h <= hour < to_h else 0.0 for hour, expected in enumerate(by_hour)
            ),
            burst_shape=BURSTY,
            turns_mean=self.turns_mean,
            pause_median_s=self.pause_median_s,
            # Who speaks another language still writes English for a part of the work.
            languages={"en": 1.0} if mother_tongue == "en" else {mother_tongue: 0.65, "en": 0.35},
            return_share=self.return_share,
        )  # fmt: skip
        return conduct(world, texts, behaviour, rng)


class Team(Group):
    """Colleagues on one tool: the same client, system prompt, office network and company; interests of their own.

    Their mixes differ from each other by F ≈ 1 / (likeness + 1) ≈ 0.01, the median that was measured for teams.
    """

    label: ClassVar[AccountKind] = "team"
    kind: Literal["team"] = "team"
    members: Annotated[int, Field(ge=2, le=10_000)]
    requests_per_day_median: PerDay = 14.0
    likeness: Annotated[float, Field(gt=0)] = 100.0
    turns_mean: TurnsMean = 3.0

    def roster(self, world: World) -> list[Identity]:
        market, rng = world.market, self.stream(world, "company")
        client = market.client(rng, "tool")
        shared_habits, prompt = habits(rng, client), system_prompt(rng, client)
        founded = signed_up(world, rng)
        payment = market.payment(rng, "business")
        address, asn = market.token("address", self.name), market.access_asn(rng)
        return [
            Identity(
                account=market.token("account", self.name, index),
                group=self.name,
                kind=self.label,
                organisation=market.token("organisation", self.name),
                verification="business",
                tier="business",
                created_unix_s=founded + int(rng.random() * (world.start_unix_s - founded)),
                payment=payment,
                signup=market.token("signup", self.name),
                address=address,
                asn=asn,
                client=client,
                habits=shared_habits,
                system=prompt,
            )
            for index in range(self.members)
        ]

    def traffic(self, world: World, texts: TextSource) -> list[Iterator[Traced]]:
        rng = self.stream(world, "interests")
        business = self.mix(world, texts, 40.0, rng)
        zone = TIME_ZONES[pick_weighted(rng, [share for _, share in TIME_ZONES])][0]
        return [
            self._member(world, texts, identity, business, zone, index)
            for index, identity in enumerate(self.roster(world))
        ]

    def _member(
        self, world: World, texts: TextSource, identity: Identity, business: Interests, zone: int, index: int
    ) -> Iterator[Traced]:
        rng = self.stream(world, index, "behaviour")
        volume = min(MAX_PERSON_PER_DAY, rng.lognormvariate(math.log(self.requests_per_day_median), 1.0))
        behaviour = Behaviour(
            identity=identity,
            interests=business.around(self.likeness, rng),
            expected_by_hour=hourly(
                rng, volume / self.turns_mean, OFFICE,
                start_unix_s=world.start_unix_s, days=world.days, utc_offset_h=zone, day_sigma=0.5,
            ),
            burst_shape=BURSTY,
            turns_mean=self.turns_mean,
            pause_median_s=75.0,
            languages={"en": 1.0},
        )  # fmt: skip
        return conduct(world, texts, behaviour, rng)


def signed_up(world: World, rng: random.Random) -> int:
    """A growing service: half of the accounts are younger than five months, one in eight younger than a month."""
    return world.start_unix_s - 600 - int(min(rng.expovariate(1.0 / 215.0), 900.0) * DAY_S)


def individual(
    world: World, rng: random.Random, group: str, index: int | str, kind: AccountKind, tier: Tier, created_unix_s: int
) -> Identity:
    """A private person's account, everything drawn from the market."""
    market = world.market
    client = market.client(rng)
    on_server = client.surface == "sdk" and rng.random() < 0.35
    return Identity(
        account=market.token("account", group, index),
        group=group,
        kind=kind,
        organisation=market.token("organisation", group, index),
        verification=verification(rng, tier),
        tier=tier,
        created_unix_s=created_unix_s,
        payment=market.payment(rng, tier),
        signup=market.signup(rng, created_unix_s),
        address=market.address(rng, f"{group}/{index}"),
        asn=market.cloud_asn(rng) if on_server else market.access_asn(rng),
        client=client,
        habits=habits(rng, client),
        system=system_prompt(rng, client),
    )
