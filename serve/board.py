"""The state of the cluster as the last second knew it: what ``/readyz``, ``/metrics`` and ``/v1/status`` read.

Many readers (probes, scrapes, every open console) cost the shards one question a second. A part that does not answer
is a line in ``problems``, never an exception: this page must load when everything else does not.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final, TypeVar

from serve.ports import ServePorts
from stillwatch.errors import StillwatchError
from stillwatch.ports import AggregatorStatus, PartitionStatus, ShardStatus

log = logging.getLogger("stillwatch.serve")

MAX_AGE_S: Final = 1.0
# Below the 3 s that a kubelet's probe is usually given; a shard that scores a large batch answers within one.
ANSWER_WITHIN_S: Final = 2.0
# A heartbeat comes every two seconds, and a silent feed starts over after five.
SILENT_AFTER_S: Final = 15.0
_MAX_REASONS: Final = 8
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class State:
    """``None`` is "did not answer"; ``problems`` says why."""

    at_unix_s: float
    shards: tuple[ShardStatus, ...] | None
    aggregator: AggregatorStatus | None
    enforcement: bool | None
    not_ready: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def ready(self) -> bool:
        return not self.not_ready

    def partitions(self) -> dict[int, PartitionStatus]:
        """Each owned partition once, by its owner."""
        return {item.partition: item for shard in self.shards or () for item in shard.partitions if item.owned}


class Board:
    def __init__(self, ports: ServePorts, partitions: int) -> None:
        self._ports, self._partitions = ports, partitions
        self._state: State | None = None
        self._asked_monotonic_s = 0.0
        self._lock = asyncio.Lock()

    @property
    def last(self) -> State | None:
        return self._state

    async def state(self) -> State:
        async with self._lock:
            now_s = self._ports.clock.monotonic_s()
            if self._state is None or now_s - self._asked_monotonic_s >= MAX_AGE_S:
                self._state = await self._ask()
                self._asked_monotonic_s = self._ports.clock.monotonic_s()
            return self._state

    async def _ask(self) -> State:
        problems: list[str] = []
        shards, aggregator, enforcement = await asyncio.gather(
            answer("the shards", self._ports.shards.status(), problems),
            answer("the aggregator", self._ports.campaigns.status(), problems),
            answer("the control bucket", self._ports.control.enforcement(), problems),
        )
        if aggregator is not None and aggregator.waits_because:
            problems.append(f"the aggregator decides nothing more for now: {aggregator.waits_because}")
        state = State(
            self._ports.clock.unix_nano() / 1e9,
            None if shards is None else tuple(shards),
            aggregator,
            enforcement,
            (),
            tuple(problems),
        )
        return State(
            state.at_unix_s, state.shards, aggregator, enforcement, tuple(self._not_ready(state)), state.problems
        )

    def _not_ready(self, state: State) -> list[str]:
        reasons = []
        if state.shards is None:
            reasons.append("the shards did not answer")
        else:
            unowned = sorted(set(range(self._partitions)) - set(state.partitions()))
            if unowned:
                few = ", ".join(map(str, unowned[:8])) + (", …" if len(unowned) > 8 else "")
                reasons.append(f"{len(unowned)} of {self._partitions} partitions have no owner: {few}")
            reasons += [why for shard in state.shards for why in shard.problems][:_MAX_REASONS]
            stuck = [(p.partition, p.problem) for p in state.partitions().values() if p.problem]
            reasons += [f"partition {number}: {problem}" for number, problem in stuck[:_MAX_REASONS]]
        if state.aggregator is not None and state.aggregator.not_leading:
            reasons.append(f"nobody leads: the aggregator does not, because {state.aggregator.not_leading}")
        enforcer = self._ports.enforcer
        if not enforcer.loaded:
            reasons.append("the enforcer has not read the revocations yet; /authz allows everything")
        elif enforcer.silent_s > SILENT_AFTER_S:
            reasons.append(f"the enforcer has heard nothing of the revocations for {enforcer.silent_s:.0f} s")
        return reasons


async def answer(what: str, question: Awaitable[T], problems: list[str]) -> T | None:
    """The answer, or ``None`` and a line in ``problems``."""
    try:
        return await asyncio.wait_for(question, ANSWER_WITHIN_S)
    except StillwatchError as error:
        problems.append(f"{what}: {error}")
    except TimeoutError:
        problems.append(f"{what}: no answer within {ANSWER_WITHIN_S:g} s")
    # A broken part must not take the page down that shows which part is broken.
    except Exception as error:
        log.warning("%s failed: %s", what, type(error).__name__)
        problems.append(f"{what}: {type(error).__name__}")
    return None
