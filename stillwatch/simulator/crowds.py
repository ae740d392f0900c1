"""Honest crowds that look organised: a class that signs up on one day, strangers on one agent tool.

Unrelated people with something in common are what a linkage graph joins first. Their interests are their own; a class
shares an assignment, users of a tool share its prompt and its client.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from stillwatch.simulator.conversation import Conversation, Traced, World, unfold
from stillwatch.simulator.group import Behaviour, Group, PerDay, Share, TurnsMean, conduct
from stillwatch.simulator.identity import (
    DAY_S,
    Identity,
    Tier,
    habits,
    popular_agent,
    system_prompt,
    verification,
)  # fmt: skip
from stillwatch.simulator.interests import BROAD, FOCUSED, Interests
from stillwatch.simulator.population import MAX_PERSON_PER_DAY, individual, signed_up
from stillwatch.simulator.rhythm import BURSTY, EVENING, OFFICE, TIME_ZONES, hourly, turns
from stillwatch.simulator.seeds import pick_weighted
from stillwatch.simulator.texts import TextSource
from stillwatch.verdict import AccountKind


class Classroom(Group):
    """Students of one course: one sign-up day and promotion, the campus network, one assignment a week, free plans."""

    label: ClassVar[AccountKind] = "classroom"
    kind: Literal["classroom"] = "classroom"
    students: Annotated[int, Field(ge=2, le=10_000)] = 30
    requests_per_day_median: PerDay = 8.0
    # Share of conversations that are about the assignment.
    assignment_share: Share = 0.5
    # Exercises of one week's assignment, which everybody pastes.
    exercises: Annotated[int, Field(ge=1, le=100)] = 6
    # They are set one after the other over the week, so that all work on the same one on the same day.
    paced: bool = False
    signup_days_before: Annotated[float, Field(ge=0, le=365)] = 14.0
    turns_mean: TurnsMean = 2.35

    def roster(self, world: World) -> list[Identity]:
        rng, market = self.stream(world, "course"), world.market
        day_s = world.start_unix_s - int(self.signup_days_before * DAY_S)
        campus, promotion, asn = (
            market.token("address", self.name),
            market.token("signup", self.name),
            market.access_asn(rng),
        )
        out: list[Identity] = []
        for index in range(self.students):
            # During one lesson, give or take those who were ill.
            late_s = rng.expovariate(1.0 / 1_800.0) + (rng.random() < 0.1) * rng.random() * 3 * DAY_S
            created = min(world.start_unix_s - 60, day_s + int(late_s))
            tier: Tier = "free" if rng.random() < 0.85 else "plus"
            person = individual(world, rng, self.name, index, self.label, tier, created)
            at_campus = rng.random() < 0.6
            out.append(
                replace(
                    person,
                    signup=promotion,
                    verification=verification(rng, tier),
                    address=campus if at_campus else person.address,
                    asn=asn if at_campus else person.asn,
                )
            )
        return out

    def traffic(self, world: World, texts: TextSource) -> list[Iterator[Traced]]:
        rng = self.stream(world, "assignment")
        course = self.mix(world, texts, 3.0, rng)
        language = texts.languages[0]
        # Every week's exercises: the very texts, which all students have.
        weeks: list[list[tuple[int, int]]] = []
        for _ in range(world.days // 7 + 1):
            topics = [course.draw(rng) for _ in range(self.exercises)]
            weeks.append([(topic, rng.randrange(texts.size(topic, language))) for topic in topics])
        zone = TIME_ZONES[pick_weighted(rng, [share for _, share in TIME_ZONES])][0]
        return [
            self._student(world, texts, identity, weeks, zone, index)
            for index, identity in enumerate(self.roster(world))
        ]

    def _student(
        self,
        world: World,
        texts: TextSource,
        identity: Identity,
        weeks: list[list[tuple[int, int]]],
        zone: int,
        index: int,
    ) -> Iterator[Traced]:
        rng = self.stream(world, index, "behaviour")
        return unfold(world, texts, self._conversations(world, texts, identity, weeks, zone, rng), rng)

    def _conversations(
        self, world: World, texts: TextSource, identity: Identity, weeks: list[list[tuple[int, int]]], zone: int,
        rng: random.Random,
    ) -> Iterator[Conversation]:  # fmt: skip
        own = Interests(texts.popularity).person(BROAD, rng)
        language = texts.languages[0]
        volume = min(MAX_PERSON_PER_DAY, rng.lognormvariate(0.0, 0.8) * self.requests_per_day_median)
        by_hour = hourly(
            rng, volume / self.turns_mean, EVENING,
            start_unix_s=world.start_unix_s, days=world.days, utc_offset_h=zone, day_sigma=0.7,
        )  # fmt: skip
        for number, at_s in enumerate(world.arrivals.starts(rng, by_hour, BURSTY)):
            if rng.random() < self.assignment_share:
                week, into_s = divmod(at_s, 7 * DAY_S)
                if self.paced:
                    topic, which = weeks[int(week)][int(into_s / (7 * DAY_S) * self.exercises)]
                else:
                    topic, which = rng.choice(weeks[int(week)])
            else:
                topic = own.draw(rng)
                which = rng.randrange(texts.size(topic, language))
            yield Conversation(at_s, identity, number, topic, language, which, turns(rng, self.turns_mean), 75.0)


class Agents(Group):
    """Unrelated people who use one popular agent tool: the same client and system prompt, long and quick sessions."""

    label: ClassVar[AccountKind] = "agent"
    sized_by: ClassVar[str] = "count"
    kind: Literal["agents"] = "agents"
    count: Annotated[int, Field(ge=1, le=1_000_000)]
    requests_per_day_median: PerDay = 20.0
    turns_mean: TurnsMean = 6.0
    pause_median_s: Annotated[float, Field(gt=0)] = 20.0
    # An update of the tool takes all of its users to a new model within so many hours of its release; without: they go
    # over when they get around to it.
    update_within_h: Annotated[float, Field(ge=0, le=720)] | None = None

    def roster(self, world: World) -> list[Identity]:
        client = popular_agent(world.market)
        out: list[Identity] = []
        for index in range(self.count):
            rng = self.stream(world, index, "identity")
            tier: Tier = "developer" if rng.random() < 0.7 else "plus"
            person = individual(world, rng, self.name, index, self.label, tier, signed_up(world, rng))
            update_s = None
            if self.update_within_h is not None:
                update_s = self.stream(world, index, "update").random() * self.update_within_h * 3_600.0
            out.append(
                replace(
                    person, client=client, habits=habits(rng, client), system=system_prompt(rng, client),
                    adopts_after_s=update_s,
                )
            )  # fmt: skip
        return out

    def traffic(self, world: World, texts: TextSource) -> list[Iterator[Traced]]:
        base = self.base_interests(world, texts)
        return [self._user(world, texts, identity, base, index) for index, identity in enumerate(self.roster(world))]

    def _user(
        self, world: World, texts: TextSource, identity: Identity, base: Interests, index: int
    ) -> Iterator[Traced]:
        rng = self.stream(world, index, "behaviour")
        volume = min(MAX_PERSON_PER_DAY, rng.lognormvariate(0.0, 1.0) * self.requests_per_day_median)
        zone = TIME_ZONES[pick_weighted(rng, [share for _, share in TIME_ZONES])][0]
        by_hour = hourly(
            rng, volume / self.turns_mean, OFFICE if rng.random() < 0.7 else EVENING,
            start_unix_s=world.start_unix_s, days=world.days, utc_offset_h=zone, day_sigma=0.8,
        )  # fmt: skip
        behaviour = Behaviour(
            identity, base.person(FOCUSED, rng, 0.2), by_hour, BURSTY, self.turns_mean, self.pause_median_s, {"en": 1.0},
            return_share=0.2,
        )  # fmt: skip
        return conduct(world, texts, behaviour, rng)
