"""What a fingerprint costs, by the size of the prompt: ``python -m benchmarks.fingerprint_cost``.

CPU time, best of several repeats on one core. *Warm*: the words were in an earlier prompt, as most are in real traffic.
*Cold*: the vocabulary's cache is emptied before every call. The first line is the same loop on every machine, so that
figures from two machines can be compared.
"""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from stillwatch.event import RequestEvent
from stillwatch.fingerprint import event_fingerprint, fingerprint
from stillwatch.prompts.vocabulary import forget

_SENTENCE: Final = (
    "Explain, step by step, how a bakery with 12 employees should plan its deliveries for the coming winter so that the "
    "bread is still warm when it reaches the schools in the valley, and which of the two vans should go first. "
)
# Prose that repeats little: 122 distinct words, 88 of which are no stop words.
_LETTER: Final = (
    "Our village wants to restore the old watermill beside the river and open it as a small museum before next summer. "
    "The roof leaks, two of the oak beams have rotted, and the wheel has not turned since the flood eleven years ago. A "
    "carpenter from town offered to replace the timber cheaply, provided that volunteers clear the ground floor and "
    "carry the millstones outside. The council can lend us scaffolding but will pay nothing until an engineer has signed "
    "the report about the foundations. Several families promised furniture, photographs and tools that their "
    "grandparents used, though nobody knows how to keep paper dry in such a damp building. Please write a plan with the "
    "order of the work, a rough estimate of the cost for every stage, the permits which we probably need, and a short "
    "paragraph for the newspaper that explains why the mill matters to children who have never seen grain become flour. "
    "Mention the risks honestly, suggest whom we might ask for a grant, and say what to do first if winter comes early."
)
_CHINESE: Final = (
    "请逐步解释一家有十二名员工的面包店应该如何安排今年冬天的送货计划，以便面包送到山谷里的学校时仍然是热的。"
)
_SOURCE: Final = "def total(orders):\n    return sum(order.price * order.count for order in orders if order.paid)\n\n"
SIZES: Final[Mapping[str, str]] = {
    "100 B": (_SENTENCE * 50)[:100],
    "1 KB": (_SENTENCE * 50)[:1_024],
    "1 KB of varied prose": _LETTER[:1_024],
    "1 KB with source code": ("Why does this crash?\n\n" + _SOURCE * 20)[:1_024],
    "8 KB": (_SENTENCE * 50)[:8_192],
    "64 KB": (_SENTENCE * 400)[:65_536],
    "1 KB of Chinese": (_CHINESE * 50)[:341],
}


def best_us(call: Callable[[], object], calls: int, repeats: int) -> float:
    """Microseconds of CPU per call, the best of ``repeats``."""
    return min(timeit.repeat(call, timer=time.process_time, number=calls, repeat=repeats)) / calls * 1e6


def measure(prompts: Mapping[str, str], calls: int = 300, repeats: int = 15) -> dict[str, tuple[float, float]]:
    """(warm, cold) microseconds per call."""

    def cold(text: str) -> None:
        forget()
        fingerprint(text)

    return {
        name: (
            best_us(lambda text=text: fingerprint(text), calls, repeats),  # type: ignore[misc]
            best_us(lambda text=text: cold(text), max(1, calls // 10), repeats),  # type: ignore[misc]
        )
        for name, text in prompts.items()
    }


def reading(calls: int = 2_000, repeats: int = 15) -> float:
    """Microseconds to read a fingerprint back from an event."""
    attributes = fingerprint(SIZES["1 KB"], "You are a helpful assistant.").attributes()
    event = RequestEvent("r", "a", 1_790_000_000_000_000_000, attributes)
    return best_us(lambda: event_fingerprint(event), calls, repeats)


def report(cost_us: Mapping[str, tuple[float, float]], read_us: float, loop_us: float) -> Sequence[str]:
    """The lines to print. Pure.

    >>> for line in report({"1 KB": (80.0, 400.0)}, 5.0, 10.0): print(line)
    sum(range(1000))                      10.0 µs
    fingerprint of 1 KB                   80.0 µs warm     400.0 µs cold      12,500 /s warm
    reading one back                       5.0 µs
    """
    lines = [f"{'sum(range(1000))':34s} {loop_us:7.1f} µs"]
    lines += [
        f"{'fingerprint of ' + name:34s} {warm:7.1f} µs warm {cold:9.1f} µs cold {1e6 / warm:11,.0f} /s warm"
        for name, (warm, cold) in cost_us.items()
    ]
    return [*lines, f"{'reading one back':34s} {read_us:7.1f} µs"]


def main() -> None:
    fingerprint("the codebook is read at first use")
    loop_us = best_us(lambda: sum(range(1_000)), 1_000, 15)
    print("\n".join(report(measure(SIZES), reading(), loop_us)))


if __name__ == "__main__":
    main()
