"""What an event costs inside one process: decoding, the fingerprint, the core, the models."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from river import anomaly
from river.stats import EWMean

from benchmarks.workload import events, fingerprinted, messages
from stillwatch.event import RequestEvent
from stillwatch.fingerprint import fingerprint
from stillwatch.ports import RawMessage
from stillwatch.settings import DetectionSettings, IngestSettings
from stillwatch.shard import PartitionCore
from stillwatch.wire import decode_message


@dataclass(frozen=True, slots=True)
class Cost:
    name: str
    microseconds: float  # of processor time per event, the least of the repetitions
    note: str = ""


def measure(count: int = 4_000, repetitions: int = 3) -> list[Cost]:
    made = events(count)
    raw, thin = messages(made), messages([fingerprinted(event) for event in made])
    prompts = [event.text("stillwatch.prompt.text") or "" for event in made]
    return [
        Cost("decode and validate", best(lambda: decoding(thin), count, repetitions), "msgpack to a checked event"),
        Cost("fingerprint", best(lambda: fingerprinting(prompts), count, repetitions), "at the edge, when text is sent"),
        Cost("core, fingerprinted at the edge", best(lambda: observing(thin), count, repetitions), "all of the account path"),
        Cost("core, from text", best(lambda: observing(raw), count, repetitions), "the same, and the fingerprint"),
        Cost("plain River loop", best(lambda: plain_river(made), count, repetitions), "3 EWMean an account, one HalfSpaceTrees"),
    ]  # fmt: skip


def best(work: Callable[[], None], count: int, repetitions: int) -> float:
    """Processor time, not wall time, and the least of several: what others do on the machine adds, never subtracts."""
    taken = []
    for _ in range(repetitions):
        before = time.process_time()
        work()
        taken.append(time.process_time() - before)
    return min(taken) / count * 1e6


def decoding(batch: Sequence[RawMessage]) -> None:
    for message in batch:
        decode_message(message.payload)


def fingerprinting(prompts: Sequence[str]) -> None:
    for prompt in prompts:
        fingerprint(prompt)


def observing(batch: Sequence[RawMessage]) -> None:
    core = PartitionCore(0, 1, IngestSettings(), DetectionSettings())
    for start in range(0, len(batch), 100):
        core.observe(batch[start : start + 100])
        core.take_cuts()  # what the aggregator hears is part of the cost


def plain_river(made: Sequence[RequestEvent]) -> None:
    loop = PlainRiver()
    for event in made:
        loop.take(event)


class PlainRiver:
    """What a person would write first: no signals, no references, no bounds, no explanation."""

    def __init__(self) -> None:
        self._trees: Any = anomaly.HalfSpaceTrees(n_trees=10, height=8, window_size=250, seed=1)
        self._means: dict[str, tuple[EWMean, EWMean, EWMean]] = {}

    def take(self, event: RequestEvent) -> None:
        of_account = self._means.setdefault(event.account, (EWMean(), EWMean(), EWMean()))
        values = (
            event.number("gen_ai.usage.input_tokens") or 0.0,
            event.number("gen_ai.usage.output_tokens") or 0.0,
            event.number("gen_ai.request.temperature") or 0.0,
        )
        for mean, value in zip(of_account, values, strict=True):
            mean.update(value)
        features = {f"f{n}": min(mean.get() / 4_000, 1.0) for n, mean in enumerate(of_account)}
        self._trees.score_one(features)
        self._trees.learn_one(features)
