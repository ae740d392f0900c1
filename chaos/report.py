"""A run in a table for people, in JSON for programs, and as the list of promises that it broke."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import Any, Final

from chaos.plan import SHARES
from chaos.run import Result

MAX_DELAY: Final = 0.10
# With fewer faults three days go by in less than four minutes, and the seconds of one recovery are a tenth of that.
_ENOUGH_FAULTS: Final = 50


def broken(result: Result) -> list[str]:
    """Empty: every promise was kept."""
    difference = result.difference
    unrecovered = [one for one in result.injected if not one.recovered]
    idle = [one for one in result.injected if not one.took]
    checks = {
        f"{difference.lost_events} events acknowledged to publishers are not in state": difference.lost_events,
        f"{difference.doubled_events} events are in state twice": difference.doubled_events,
        f"verdicts missing: {_names(difference.verdicts_missing)}": difference.verdicts_missing,
        f"verdicts only with faults: {_names(difference.verdicts_more)}": difference.verdicts_more,
        f"revocations missing: {_names(difference.revocations_missing)}": difference.revocations_missing,
        f"revocations only with faults: {_names(difference.revocations_more)}": difference.revocations_more,
        f"campaigns missing: {_names(difference.campaigns_missing)}": difference.campaigns_missing,
        f"campaigns only with faults: {_names(difference.campaigns_more)}": difference.campaigns_more,
        f"revocations without an audit entry: {_names(difference.unaudited)}": difference.unaudited,
        f"in force is something else than without faults: {_names(difference.enforced_otherwise)}": difference.enforced_otherwise,
        f"a gateway treats otherwise than decided: {_names(difference.refused_otherwise)}": difference.refused_otherwise,
        f"detection later by {difference.event_delay:.1%} of event time": difference.event_delay > MAX_DELAY,
        f"a verdict later by {result.wall_share:.1%} of the time until it": len(result.injected) >= _ENOUGH_FAULTS
        and result.wall_share > MAX_DELAY,
        f"not recovered: {', '.join(f'{one.number + 1} {one.kind}' for one in unrecovered)}": unrecovered,
        f"did nothing: {', '.join(f'{one.number + 1} {one.kind}' for one in idle)}": idle,
        f"{difference.incomplete_evaluations} evaluations without a partition": difference.incomplete_evaluations,
        f"{result.reference.incomplete_evaluations} evaluations without a partition in the line without faults": (
            result.reference.incomplete_evaluations
        ),
        "the line had not settled in two minutes after the last request": not result.settled,
        "nothing was decided, so nothing was compared": not result.reference.decided,
        "nothing was in force, so no gateway was compared": not result.reference.enforced,
    }
    return [text for text, bad in checks.items() if bad]


def table(result: Result) -> str:
    difference = result.difference
    delays = sorted(result.wall_delay_s) or [0.0]
    lines = [
        f"{'fault':<30}{'injected':>9}   {'events into state again, s':<28}{'all parts answer again, s':<27}",
        f"{'':<30}{'':>9}   {'p50':>8}{'max':>8}{'':12}{'p50':>8}{'max':>8}",
    ]
    for kind in SHARES:
        of_kind = [one for one in result.injected if one.kind == kind]
        alone = [one for one in of_kind if not one.overlapped]
        if of_kind:
            state, answers = _times([one.state_s for one in alone]), _times([one.answers_s for one in alone])
            lines.append(f"{kind:<30}{len(of_kind):>9}   {state}{'':12}{answers}")
    overlapped = sum(one.overlapped for one in result.injected)
    idle = sum(not one.took for one in result.injected)
    return "\n".join(
        [
            *lines,
            "",
            (
                f"{len(result.injected)} faults ({overlapped} over one that was not mended yet, and in no row's times; {idle} found "
                f"nothing to break) in {result.seconds:.0f} s, seed {result.seed}; publishers tried again {result.retries} times"
            ),
            f"{result.events:,} events acknowledged: {difference.lost_events} not in state, {difference.doubled_events} twice",
            (
                f"verdicts {len(result.found.decided)}, without faults {len(result.reference.decided)}; revocations "
                f"{len(result.found.revocations)}, {len(result.reference.revocations)}; campaigns "
                f"{len(result.found.campaigns)}, {len(result.reference.campaigns)}; evaluations without a partition "
                f"{difference.incomplete_evaluations}; audited twice {difference.audited_twice}"
            ),
            f"detection later, in event time: {difference.event_delay:.1%} at most",
            (
                f"a verdict after the request that ends its tick, wall time: p50 {median(delays):.1f} s, max {delays[-1]:.1f} s; "
                f"{result.wall_share:.1%} of the time until it at most, while faults went on"
            ),
        ]
    )


def document(result: Result) -> dict[str, Any]:
    """Sets as sorted lists, so that the same result gives the same bytes."""
    found: dict[str, Any] = _plain(asdict(result))
    return {"broken": broken(result), **found}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _times(values: Sequence[float | None]) -> str:
    known = [float("inf") if value is None else value for value in values]
    return f"{median(known):>8.1f}{max(known):>8.1f}" if known else f"{'-':>8}{'-':>8}"


def _names(ids: Sequence[str], most: int = 5) -> str:
    return ", ".join(ids[:most]) + (f" and {len(ids) - most} more" if len(ids) > most else "")
