"""Honest programs without a person in front of them: the nightly batch job and the CI loop.

Both repeat themselves, which a campaign that goes through a pool once does not; both write as regularly as one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from stillwatch.simulator.conversation import Conversation, Traced, World, unfold
from stillwatch.simulator.group import Group, PerDay
from stillwatch.simulator.identity import MODELS, Habits, Identity, own_system_prompt
from stillwatch.simulator.rhythm import BURSTY, DAY_HOURS, HOUR_S, OFFICE, TIME_ZONES, hourly
from stillwatch.simulator.seeds import pick_weighted
from stillwatch.simulator.services import Keys, company_keys
from stillwatch.simulator.texts import TextSource
from stillwatch.verdict import AccountKind

_BATCH_FRAMES: Final = (
    "Record:\n{text}\n\nReturn one line of JSON with the fields topic, urgency and summary.",
    "Document:\n{text}\n\nTranslate the document into English. Output the translation only.",
    "Item:\n{text}\n\nDoes the item follow the style guide? Answer yes or no, then name the broken rule.",
    "Input:\n{text}\n\nRewrite the input for the product catalogue in at most 60 words.",
)
_CI_FRAME: Final = "Review this change and say whether it can be merged.\n\n{text}"
_CI_PROMPT: Final = "You review pull requests in a pipeline. Answer with a verdict and a list of problems."
# Runs of one commit follow each other as fast as a pipeline takes.
_RUN_GAP_S: Final = 240.0
_MOST_RUNS: Final = 100


class Batch(Group):
    """A nightly job: one template and one system prompt over the day's new records, at machine speed."""

    label: ClassVar[AccountKind] = "batch"
    kind: Literal["batch"] = "batch"
    keys: Keys = 1
    records: Annotated[int, Field(ge=10, le=1_000_000)] = 300
    hour_utc: Annotated[int, Field(ge=0, le=23)] = 1
    gap_s: Annotated[float, Field(gt=0, le=600)] = 4.0
    # A job does one thing; some jobs go over everything a company has.
    concentration: Annotated[float, Field(gt=0)] = 12.0

    def roster(self, world: World) -> list[Identity]:
        rng = self.stream(world, "company")
        sent = Habits(MODELS[1], (0.0,), max_tokens=512, stream=False)
        return company_keys(self, world, rng, self.keys, sent, own_system_prompt(rng), rng.choice(_BATCH_FRAMES))

    def traffic(self, world: World, texts: TextSource) -> list[Iterator[Traced]]:
        return [unfold(world, texts, self._records(world, texts), self.stream(world, "answers"))]

    def _records(self, world: World, texts: TextSource) -> Iterator[Conversation]:
        rng = self.stream(world, "records")
        identities, language = self.roster(world), texts.languages[0]
        mix = self.mix(world, texts, self.concentration, rng)
        for day in range(world.days):
            # Some nights have more records than others, and the job starts when the one before it is done.
            count = max(1, round(self.records * rng.lognormvariate(-0.08, 0.4)))
            at_s = (day * DAY_HOURS + self.hour_utc + rng.random()) * HOUR_S
            for record in range(count):
                topic = mix.draw(rng)
                index = rng.randrange(texts.size(topic, language))
                identity = identities[record % len(identities)]
                yield Conversation(at_s, identity, day * 10_000_000 + record, topic, language, index, 1, 1.0)
                at_s += self.gap_s * rng.uniform(0.5, 1.5)


class Ci(Group):
    """Pipelines that ask about each commit, and about nearly the same again until it passes; in office hours."""

    label: ClassVar[AccountKind] = "ci"
    kind: Literal["ci"] = "ci"
    keys: Keys = 1
    commits_per_day_per_key: PerDay = 20.0
    runs_mean: Annotated[float, Field(ge=1, le=50)] = 4.0
    concentration: Annotated[float, Field(gt=0)] = 8.0

    def roster(self, world: World) -> list[Identity]:
        sent = Habits(MODELS[2], (0.0,), max_tokens=4_096, stream=False)
        return company_keys(self, world, self.stream(world, "company"), self.keys, sent, _CI_PROMPT, _CI_FRAME)

    def traffic(self, world: World, texts: TextSource) -> list[Iterator[Traced]]:
        rng = self.stream(world, "company-zone")
        zone = TIME_ZONES[pick_weighted(rng, [share for _, share in TIME_ZONES])][0]
        return [
            unfold(world, texts, self._runs(world, texts, identity, zone), self.stream(world, identity.account))
            for identity in self.roster(world)
        ]

    def _runs(self, world: World, texts: TextSource, identity: Identity, zone: int) -> Iterator[Conversation]:
        rng, language = self.stream(world, identity.account, "commits"), texts.languages[0]
        project = self.mix(world, texts, self.concentration, self.stream(world, "project"))
        by_hour = hourly(
            rng, self.commits_per_day_per_key, OFFICE,
            start_unix_s=world.start_unix_s, days=world.days, utc_offset_h=zone, day_sigma=0.4,
        )  # fmt: skip
        starts = world.arrivals.starts(rng, by_hour, BURSTY)
        for number, at_s in enumerate(starts):
            topic = project.draw(rng)
            index = rng.randrange(texts.size(topic, language))
            runs = min(_MOST_RUNS, 1 + int(rng.expovariate(1.0 / max(self.runs_mean - 1.0, 1e-9)) + 0.5))
            note = f"\n\nCommit {rng.getrandbits(28):07x}, run {{turn}}."
            yield Conversation(at_s, identity, number, topic, language, index, runs, _RUN_GAP_S, note=note)
