"""What a fingerprint costs, by the size of the prompt: ``python -m benchmarks.fingerprint_cost``.

Best of several repeats on one core. The first line is the same loop on every machine, so that figures from two machines
can be compared.
"""

from __future__ import annotations

import timeit
from collections.abc import Mapping, Sequence

from stillwatch.fingerprint import fingerprint

_SENTENCE = (
    "Explain, step by step, how a bakery with 12 employees should plan its deliveries for the coming winter so that the "
    "bread is still warm when it reaches the schools in the valley, and which of the two vans should go first. "
)
_CHINESE = "请逐步解释一家有十二名员工的面包店应该如何安排今年冬天的送货计划，以便面包送到山谷里的学校时仍然是热的。"
SIZES: Mapping[str, str] = {
    "100 B": (_SENTENCE * 50)[:100],
    "1 KB": (_SENTENCE * 50)[:1_024],
    "8 KB": (_SENTENCE * 50)[:8_192],
    "64 KB": (_SENTENCE * 400)[:65_536],
    "1 KB of Chinese": (_CHINESE * 50)[:341],
}


def measure(prompts: Mapping[str, str], calls: int = 200, repeats: int = 7) -> dict[str, float]:
    """Microseconds per call, the best of ``repeats``."""
    return {
        name: min(timeit.repeat(lambda text=text: fingerprint(text), number=calls, repeat=repeats)) / calls * 1e6  # type: ignore[misc]
        for name, text in prompts.items()
    }


def report(cost_us: Mapping[str, float], loop_us: float) -> Sequence[str]:
    """The lines to print. Pure.

    >>> report({"1 KB": 80.0}, 10.0)
    ['sum(range(1000))         10.0 µs', 'fingerprint of 1 KB      80.0 µs      12,500 /s']
    """
    lines = [f"{'sum(range(1000))':20s} {loop_us:8.1f} µs"]
    for name, micros in cost_us.items():
        lines.append(f"{'fingerprint of ' + name:20s} {micros:8.1f} µs {1e6 / micros:11,.0f} /s")
    return lines


def main() -> None:
    loop_us = min(timeit.repeat(lambda: sum(range(1_000)), number=1_000, repeat=7)) / 1_000 * 1e6
    print("\n".join(report(measure(SIZES), loop_us)))


if __name__ == "__main__":
    main()
