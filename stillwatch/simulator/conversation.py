"""From conversations to request events: turns in time order, texts, tokens, answers, errors.

Every source of traffic gives its conversations in the order in which they start; :func:`unfold` interleaves their turns.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from stillwatch.event import AttributeValue, RequestEvent
from stillwatch.simulator.identity import NEXT_MODEL, Identity, Market, adopts_after_s
from stillwatch.simulator.rhythm import pause_s
from stillwatch.simulator.seeds import token
from stillwatch.simulator.texts import TextSource
from stillwatch.simulator.timing import FITTED, Arrivals

SECOND_NANO: Final = 1_000_000_000
# Calls that fail at a large provider: some per mille. (share of calls, HTTP status, error.type)
_FAILURE_RATE: Final = 0.006
_FAILURES: Final = (
    (429, "rate_limit_exceeded"),
    (500, "internal_error"),
    (503, "overloaded"),
    (400, "invalid_request"),
)
# What a relay takes to a sibling: the limit is the account's, the failure perhaps the server's.
_RETRIED: Final = frozenset({403, 429, 500, 503})
_REFUSED: Final = (403, "account_suspended")
# A usual tokenizer gives one token per four characters of English.
_CHARS_PER_TOKEN: Final = 4


Banned = Callable[[str, int], bool]


def nobody(account: str, time_unix_nano: int) -> bool:
    """The answer of a platform that refuses no account."""
    return False


@dataclass(frozen=True, slots=True)
class World:
    """What a scenario's groups have in common."""

    seed: int
    start_unix_s: int
    days: int
    market: Market
    # When a new model comes out, from the scenario's start: honest people adopt it over weeks, a campaign at once.
    release_at_s: float = math.inf
    arrivals: Arrivals = FITTED
    # Where campaigns get their pools from; `None`: where everybody's prompts come from.
    pool_texts: TextSource | None = None
    banned: Banned = nobody

    @property
    def end_s(self) -> float:
        return self.days * 86_400.0

    def unix_nano(self, at_s: float) -> int:
        return self.start_unix_s * SECOND_NANO + int(at_s * SECOND_NANO)


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
    # What a program appends to the opening each time it asks again, with `{turn}` for the number: each turn is then the
    # same request, almost, and the first turn of a conversation to the platform.
    note: str = ""
    texts: TextSource | None = None  # its own source; `None`: everybody's
    place: int = -1  # of a relay: which of its accounts
    attempt: int = 0  # of this turn, after failures
    wording: int = 0  # of this turn: what is tried again is tried word for word
    opened_s: float = field(init=False)  # on this account
    used_s: float = field(init=False)
    id: str = field(init=False)

    def __post_init__(self) -> None:
        self.opened_s = self.used_s = self.at_s
        self.id = token(0, self.identity.account, self.number)

    def move(self, identity: Identity, place: int) -> None:
        """Go on with another account: to the platform that is another conversation, which begins in the middle."""
        self.identity, self.place, self.opened_s = identity, place, self.at_s
        # A name of its own also where a conversation comes back to an account; it must not look like a name of a retry.
        self.id = token(0, identity.account, self.number, self.attempt)


class Router(Protocol):
    """A relay, asked before and after each call."""

    def refused(self, conversation: Conversation) -> bool:
        """Whether the platform refuses the account that this turn goes to; a sticky session may move first."""
        ...

    def failed(self, conversation: Conversation, status: int) -> float | None:
        """Seconds after which the same turn is tried on the account that the conversation now has; ``None``: not."""
        ...


@dataclass(frozen=True, slots=True)
class Traced:
    """An event and the truth about it, which the event itself does not hold."""

    event: RequestEvent
    identity: Identity
    topic: int
    turn: int
    opening: int
    cover: bool
    status: int = 200


def unfold(
    world: World,
    texts: TextSource,
    starts: Iterable[Conversation],
    rng: random.Random,
    router: Router | None = None,
) -> Iterator[Traced]:
    """All turns in time order, until the scenario ends. Holds only the conversations that are open."""
    waiting: list[tuple[float, int, Conversation]] = []
    for conversation in starts:
        while waiting and waiting[0][0] <= conversation.at_s:
            yield _turn(world, texts, waiting, rng, router)
        heapq.heappush(waiting, (conversation.at_s, conversation.number, conversation))
    while waiting and waiting[0][0] < world.end_s:
        yield _turn(world, texts, waiting, rng, router)


def _turn(
    world: World,
    texts: TextSource,
    waiting: list[tuple[float, int, Conversation]],
    rng: random.Random,
    router: Router | None,
) -> Traced:
    conversation = waiting[0][2]
    refused = router is not None and router.refused(conversation)
    traced = _report(world, conversation.texts or texts, conversation, rng, refused)
    conversation.used_s = conversation.at_s
    retry_s = None
    if router is not None and traced.status in _RETRIED:
        retry_s = router.failed(conversation, traced.status)
    if retry_s is not None:
        conversation.at_s += retry_s
        heapq.heapreplace(waiting, (conversation.at_s, conversation.number, conversation))
    elif conversation.turn < conversation.turns and not refused:
        conversation.turn += 1
        conversation.attempt = 0
        conversation.at_s += pause_s(rng, conversation.pause_median_s)
        heapq.heapreplace(waiting, (conversation.at_s, conversation.number, conversation))
    else:
        heapq.heappop(waiting)
    return traced


def _report(world: World, texts: TextSource, conversation: Conversation, rng: random.Random, refused: bool) -> Traced:
    """The event that a gateway would publish when this call has ended."""
    identity, turn = conversation.identity, conversation.turn
    topic, language, index = conversation.topic, conversation.language, conversation.index
    if turn == 1 or conversation.note:
        prompt = texts.opening(topic, language, index)
    else:
        if not conversation.attempt:
            conversation.wording = rng.getrandbits(48)
        prompt = texts.follow_up(topic, language, index, turn, conversation.wording)
    text = prompt.text if identity.frame is None else identity.frame.replace("{text}", prompt.text)
    if conversation.note:
        text += conversation.note.replace("{turn}", str(turn))
    input_tokens = conversation.history_tokens + (len(text) + len(identity.system or "")) // _CHARS_PER_TOKEN + 4
    attributes: dict[str, AttributeValue] = {
        **identity.attributes,
        "stillwatch.prompt.text": text,
        "stillwatch.prompt.turn": 1 if conversation.note else turn,
        "gen_ai.conversation.id": conversation.id,
        "gen_ai.usage.input_tokens": input_tokens,
    }
    temperatures = identity.habits.temperatures
    if temperatures:
        attributes["gen_ai.request.temperature"] = temperatures[conversation.number % len(temperatures)]
    if world.release_at_s <= conversation.at_s and adopts_after_s(identity) <= conversation.at_s - world.release_at_s:
        attributes["gen_ai.request.model"] = NEXT_MODEL
        attributes["gen_ai.response.model"] = f"{NEXT_MODEL}-2025-03"
    status = 200
    if refused or rng.random() < _FAILURE_RATE:
        status, error = _REFUSED if refused else rng.choice(_FAILURES)
        attributes["http.response.status_code"], attributes["error.type"] = status, error
    else:
        wanted = int(rng.lognormvariate(math.log(prompt.output_tokens), 0.6)) + 1
        limit = identity.habits.max_tokens or wanted
        attributes["http.response.status_code"] = 200
        attributes["gen_ai.usage.output_tokens"] = min(wanted, limit)
        attributes["gen_ai.response.finish_reasons"] = ["length" if wanted > limit else "stop"]
        if not conversation.note:
            conversation.history_tokens += len(text) // _CHARS_PER_TOKEN + min(wanted, limit)
    event = RequestEvent(
        id=f"{conversation.id}-{turn}",
        account=identity.account,
        time_unix_nano=world.unix_nano(conversation.at_s),
        attributes=attributes,
    )
    return Traced(event, identity, topic, turn, index, conversation.cover, status)
