"""From conversations to request events: turns in time order, texts, tokens, answers, errors.

Every source of traffic gives its conversations in the order in which they start; :func:`unfold` interleaves their turns.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from stillwatch.event import AttributeValue, RequestEvent
from stillwatch.simulator.identity import Identity, Market
from stillwatch.simulator.rhythm import pause_s
from stillwatch.simulator.seeds import token
from stillwatch.simulator.texts import TextSource

SECOND_NANO: Final = 1_000_000_000
# Calls that fail at a large provider: some per mille. (share of calls, HTTP status, error.type)
_FAILURE_RATE: Final = 0.006
_FAILURES: Final = (
    (429, "rate_limit_exceeded"),
    (500, "internal_error"),
    (503, "overloaded"),
    (400, "invalid_request"),
)
# A usual tokenizer gives one token per four characters of English.
_CHARS_PER_TOKEN: Final = 4


@dataclass(frozen=True, slots=True)
class World:
    """What a scenario's groups have in common."""

    seed: int
    start_unix_s: int
    days: int
    market: Market

    @property
    def end_s(self) -> float:
        return self.days * 86_400.0


@dataclass(slots=True)
class Conversation:
    """One conversation, on one account from its first turn to its last."""

    at_s: float  # when its next turn ends, from the scenario's start
    identity: Identity
    number: int  # within its source
    topic: int
    language: str
    index: int  # the opening's number in the text source
    turns: int
    pause_median_s: float
    cover: bool = False
    turn: int = 1
    history_tokens: int = 0
    id: str = field(init=False)

    def __post_init__(self) -> None:
        self.id = token(0, self.identity.account, self.number)


@dataclass(frozen=True, slots=True)
class Traced:
    """An event and the truth about it, which the event itself does not hold."""

    event: RequestEvent
    identity: Identity
    topic: int
    turn: int
    opening: int
    cover: bool


def unfold(world: World, texts: TextSource, starts: Iterable[Conversation], rng: random.Random) -> Iterator[Traced]:
    """All turns in time order, until the scenario ends. Holds only the conversations that are open."""
    waiting: list[tuple[float, int, Conversation]] = []
    for conversation in starts:
        while waiting and waiting[0][0] <= conversation.at_s:
            yield _turn(world, texts, waiting, rng)
        heapq.heappush(waiting, (conversation.at_s, conversation.number, conversation))
    while waiting and waiting[0][0] < world.end_s:
        yield _turn(world, texts, waiting, rng)


def _turn(
    world: World, texts: TextSource, waiting: list[tuple[float, int, Conversation]], rng: random.Random
) -> Traced:
    conversation = waiting[0][2]
    traced = _report(world, texts, conversation, rng)
    if conversation.turn < conversation.turns:
        conversation.turn += 1
        conversation.at_s += pause_s(rng, conversation.pause_median_s)
        heapq.heapreplace(waiting, (conversation.at_s, conversation.number, conversation))
    else:
        heapq.heappop(waiting)
    return traced


def _report(world: World, texts: TextSource, conversation: Conversation, rng: random.Random) -> Traced:
    """The event that a gateway would publish when this call has ended."""
    identity, turn = conversation.identity, conversation.turn
    topic, language, index = conversation.topic, conversation.language, conversation.index
    if turn == 1:
        prompt = texts.opening(topic, language, index)
    else:
        prompt = texts.follow_up(topic, language, index, turn, rng.getrandbits(48))
    text = prompt.text if identity.frame is None else identity.frame.replace("{text}", prompt.text)
    input_tokens = conversation.history_tokens + (len(text) + len(identity.system or "")) // _CHARS_PER_TOKEN + 4
    attributes: dict[str, AttributeValue] = {
        **identity.attributes,
        "stillwatch.prompt.text": text,
        "stillwatch.prompt.turn": turn,
        "gen_ai.conversation.id": conversation.id,
        "gen_ai.usage.input_tokens": input_tokens,
    }
    temperatures = identity.habits.temperatures
    if temperatures:
        attributes["gen_ai.request.temperature"] = temperatures[conversation.number % len(temperatures)]
    if rng.random() < _FAILURE_RATE:
        status, error = rng.choice(_FAILURES)
        attributes["http.response.status_code"], attributes["error.type"] = status, error
    else:
        wanted = int(rng.lognormvariate(math.log(prompt.output_tokens), 0.6)) + 1
        limit = identity.habits.max_tokens or wanted
        attributes["http.response.status_code"] = 200
        attributes["gen_ai.usage.output_tokens"] = min(wanted, limit)
        attributes["gen_ai.response.finish_reasons"] = ["length" if wanted > limit else "stop"]
        conversation.history_tokens += len(text) // _CHARS_PER_TOKEN + min(wanted, limit)
    event = RequestEvent(
        id=f"{conversation.id}-{turn}",
        account=identity.account,
        time_unix_nano=world.start_unix_s * SECOND_NANO + int(conversation.at_s * SECOND_NANO),
        attributes=attributes,
    )
    return Traced(event, identity, topic, turn, index, conversation.cover)
