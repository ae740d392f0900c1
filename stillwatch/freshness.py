"""Whether what is known is recent and whole enough to act on by itself.

An evaluation of old state is right about the past and may be wrong about now: its accounts have been lifted, labelled or
verified since. So verdicts of such an evaluation are published, and what they would do waits: it is carried out once the
state is fresh again and its members still are what they were, or by people before that (docs/safety.md).

Pure: all times are arguments. A state restored from an old snapshot is a lag until its replay has caught up.
"""

from __future__ import annotations

from typing import Final

from stillwatch.settings import PolicyLimits

_NANO: Final = 1_000_000_000


def stale_because(
    limits: PolicyLimits,
    *,
    evaluated_unix_nano: int,
    now_unix_nano: int,
    broker_unix_nano: int | None,
    partitions_behind: int,
    incomplete: bool,
) -> tuple[str, ...]:
    """Reasons not to act automatically, in words; none: the state is fresh.

    ``evaluated_unix_nano``: the tick that is acted on. ``broker_unix_nano``: the time by the broker's clock at
    ``now_unix_nano``, ``None`` where nobody knows it. ``incomplete``: a partition was missing at this tick.

    >>> limits = PolicyLimits(max_lag_s=3600)
    >>> stale_because(limits, evaluated_unix_nano=0, now_unix_nano=7_200 * 10**9, broker_unix_nano=None,
    ...               partitions_behind=0, incomplete=False)
    ('lag: the newest evaluation is 7200 s old, more than 3600 s',)
    """
    out = []
    lag_s = (now_unix_nano - evaluated_unix_nano) / _NANO
    if limits.max_lag_s is not None and lag_s > limits.max_lag_s:
        out.append(f"lag: the newest evaluation is {lag_s:.0f} s old, more than {limits.max_lag_s} s")
    if -lag_s > limits.max_clock_error_s:
        out.append(f"clock: events are {-lag_s:.0f} s ahead of this machine's clock; one of them is wrong")
    if broker_unix_nano is not None:
        error_s = abs(now_unix_nano - broker_unix_nano) / _NANO
        if error_s > limits.max_clock_error_s:
            out.append(f"clock: this machine's differs from the broker's by {error_s:.0f} s; synchronise them")
    if partitions_behind > limits.max_partitions_behind:
        out.append(f"partitions: {partitions_behind} are behind and not waited for")
    elif incomplete and limits.max_partitions_behind == 0:
        out.append("partitions: the evaluation was made without one of them")
    return tuple(out)
