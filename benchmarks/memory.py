"""A million accounts in memory: ``python -m benchmarks.memory [ACCOUNTS]``.

Real states: a few thousand accounts of simulated traffic, each packed as a partition packs its idle accounts. They are
copied under new names until there are a million; each copy is an object of its own. What is printed is the growth of
this process's resident memory.
"""

from __future__ import annotations

import resource
import sys
from statistics import quantiles

from benchmarks.workload import SCENARIO
from launch.scenarios import load_scenario
from stillwatch.account import AccountState, AccountStore
from stillwatch.fingerprint import event_fingerprint
from stillwatch.signals import MEMORIES
from stillwatch.simulator import BuiltinTexts, simulate


def states() -> list[AccountState]:
    found: dict[str, AccountState] = {}
    for event in simulate(load_scenario(SCENARIO), BuiltinTexts()):
        state = found.setdefault(event.account, AccountState(event.account, event.time_unix_nano))
        state.observe(event, event_fingerprint(event), MEMORIES)
    return list(found.values())


def main(count: int) -> None:
    originals = states()
    packed = [state.pack() for state in originals]
    sizes = sorted(map(len, packed))
    print(f"{len(sizes)} accounts of {SCENARIO}, packed: median {sizes[len(sizes) // 2]} B, "
          f"95 % below {quantiles(sizes, n=20)[-1]:.0f} B, largest {sizes[-1]} B")  # fmt: skip
    before = _resident_bytes()
    store = AccountStore(count, max_busy=2_048, era_days=14)
    for number in range(count):
        original = originals[number % len(originals)]
        copy = bytearray(packed[number % len(packed)])
        store.restore_idle(f"{original.account[:24]}-{number:08d}", bytes(copy))
    grown = _resident_bytes() - before
    print(
        f"{len(store):,} accounts: {grown / 2**20:,.0f} MiB resident, {grown / count:.0f} B an account with its name and index"
    )


def _resident_bytes() -> int:
    """The highest so far; it only grows here."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
