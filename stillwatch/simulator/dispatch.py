"""Which account a request of a campaign goes to, as public account-pool relays decide it.

A new conversation goes to the account with the least load in the window, to the next in turn, or by weight; nothing of
content is looked at. It sticks there: for good, for a time that every call renews, or until the window ends. A call that
is limited, fails or is refused is tried again on a sibling within seconds. A refused account is dropped and, where the
campaign replaces its losses, another one takes its place some hours later.
"""

from __future__ import annotations

import heapq
import math
import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from stillwatch.simulator.conversation import Conversation, World
from stillwatch.simulator.identity import DAY_S, Identity
from stillwatch.simulator.registration import MAX_GENERATIONS, Registration
from stillwatch.simulator.rhythm import DAY_HOURS, HOUR_S

if TYPE_CHECKING:
    from stillwatch.simulator.relay import Campaign

_RETRIES: Final = 3
# Spread of the weights that an operator gives accounts by plan and age; judged.
_WEIGHT_SIGMA: Final = 0.6


class Dispatcher:
    """Knows load, working hours and who has signed up. Times it is asked about ascend, but for seconds."""

    def __init__(self, campaign: Campaign, world: World, rng: random.Random) -> None:
        self._campaign, self._world = campaign, world
        self._registration = Registration(campaign, world)
        self.identities: list[Identity] = self._registration.first()
        count = len(self.identities)
        self._rest_from_h = [rng.randrange(DAY_HOURS) for _ in range(count)]
        self._retry = campaign.stream(world, "failover")
        # From when on each place's account can be used, and when the platform takes it away by itself.
        self._usable_s = [float(identity.created_unix_s - world.start_unix_s) for identity in self.identities]
        self._generation = [0] * count
        self._lost_s = [lost_at_s(campaign, world, place, 0, self._usable_s[place]) for place in range(count)]
        weights = campaign.stream(world, "weights")
        self._weight = [weights.lognormvariate(0.0, _WEIGHT_SIGMA) for _ in range(count)]
        self._used = [0] * count
        self._turn_of = [0] * count
        self._chosen = 0
        self._hour = self._window = -1
        self._queue: list[tuple[int, int, int]] = []  # (used in this window, when last chosen, place)
        self._places: Sequence[int] = ()
        self._cumulative: Sequence[float] = ()

    def expected_by_hour(self) -> Iterator[float]:
        """New conversations in each hour: accounts that have signed up by its beginning, each with its rate."""
        rate = self._campaign.requests_per_day / DAY_HOURS / self._campaign.turns_mean
        for hour in range(self._world.days * DAY_HOURS):
            yield rate * len(self._working(hour)) * DAY_HOURS / (DAY_HOURS - self._campaign.rest_hours)

    def usable(self, place: int, at_s: float) -> bool:
        return self._usable_s[place] <= at_s

    def choose(self, at_s: float, load: int) -> int | None:
        """The place that takes the next conversation; ``None``: there is no account left that works now."""
        hour = int(at_s // HOUR_S)
        if hour > self._hour:
            self._begin_hour(hour)
        self._chosen += 1
        if self._campaign.choice == "weighted":
            return self._by_weight(at_s)
        while self._queue:
            place = self._queue[0][2]
            if not self.usable(place, at_s):
                heapq.heappop(self._queue)
                continue
            self._used[place] += load
            self._turn_of[place] = self._chosen
            heapq.heapreplace(self._queue, self._entry(place))
            return place
        return None

    def refused(self, conversation: Conversation) -> bool:
        self._unstick(conversation)
        at_s, place = conversation.at_s, conversation.place
        # Its account was lost, or was replaced while the conversation was open.
        if at_s >= self._lost_s[place] or self.identities[place] is not conversation.identity:
            return True
        return self._world.banned(conversation.identity.account, self._world.unix_nano(at_s))

    def failed(self, conversation: Conversation, status: int) -> float | None:
        place, at_s = conversation.place, conversation.at_s
        # A refusal may come for an account that was replaced while the conversation was open.
        if status == 403 and self.identities[place] is conversation.identity and self.usable(place, at_s):
            self._drop(place, at_s)
        if not self._campaign.failover_s or conversation.attempt >= _RETRIES:
            return None
        sibling = self._sibling(conversation)
        if sibling is None:
            return None
        conversation.attempt += 1
        conversation.move(self.identities[sibling], sibling)
        return self._retry.expovariate(1.0 / self._campaign.failover_s)

    def _drop(self, place: int, at_s: float) -> None:
        """Out of the relay. The replacement has the same hours and habits, and everything else is new."""
        after_h = self._campaign.replace_after_h
        generation = self._generation[place] + 1
        if after_h is None or generation > MAX_GENERATIONS:
            self._usable_s[place] = math.inf
            return
        created_s = at_s + after_h * HOUR_S
        self._usable_s[place], self._generation[place] = created_s, generation
        self._lost_s[place] = lost_at_s(self._campaign, self._world, place, generation, created_s)
        created_unix_s = self._world.start_unix_s + int(created_s)
        self.identities[place] = self._registration.replacement(place, generation, created_unix_s)

    def _unstick(self, conversation: Conversation) -> None:
        """A session that has run out goes where the load is least, in the middle of the conversation."""
        sticky, ttl_s = self._campaign.sticky, self._campaign.sticky_h * HOUR_S
        if sticky == "conversation" or conversation.turn == 1:
            return
        since_s = conversation.used_s if sticky == "renewed" else conversation.opened_s
        if conversation.at_s - since_s <= ttl_s:
            return
        place = self.choose(conversation.at_s, 1)
        if place is not None and place != conversation.place:
            conversation.move(self.identities[place], place)

    def _sibling(self, conversation: Conversation) -> int | None:
        for _ in range(_RETRIES):
            place = self.choose(conversation.at_s, 1)
            if place is None or self.identities[place] is not conversation.identity:
                return place
        return None

    def _by_weight(self, at_s: float) -> int | None:
        for _ in range(100):
            if not self._places:
                return None
            at = bisect_right(self._cumulative, self._retry.random() * self._cumulative[-1])
            place = self._places[min(at, len(self._places) - 1)]
            if self.usable(place, at_s):
                return place
        return None

    def _entry(self, place: int) -> tuple[int, int, int]:
        load = self._used[place] if self._campaign.choice == "least_used" else 0
        return load, self._turn_of[place], place

    def _begin_hour(self, hour: int) -> None:
        if hour // self._campaign.window_h != self._window:
            self._window = hour // self._campaign.window_h
            self._used = [0] * len(self._used)
        self._hour = hour
        self._places = self._working(hour)
        if self._campaign.choice == "weighted":
            self._cumulative = list(accumulate(self._weight[place] for place in self._places))
        else:
            self._queue = [self._entry(place) for place in self._places]
            heapq.heapify(self._queue)

    def _working(self, hour: int) -> list[int]:
        rest = self._campaign.rest_hours
        return [
            place
            for place, usable_s in enumerate(self._usable_s)
            if usable_s <= hour * HOUR_S and (hour - self._rest_from_h[place]) % DAY_HOURS >= rest
        ]


def lost_at_s(campaign: Campaign, world: World, place: int, generation: int, usable_s: float) -> float:
    """When the platform closes an account for reasons of its own, which are not simulated: at a constant rate."""
    if not campaign.lost_per_day:
        return math.inf
    lifetime_days = campaign.stream(world, "lifetime", place, generation).expovariate(campaign.lost_per_day)
    return max(0.0, usable_s) + lifetime_days * DAY_S
