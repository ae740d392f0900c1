"""The console script ``stillwatch``. The command line belongs to the cluster, which the wheel does not hold."""

from __future__ import annotations

import importlib
import sys

_REMEDY = """\
stillwatch: this installation holds the gateway package only ({missing} is missing).

The cluster and its commands (up, replay, backtest, revoke, ...) run from a checkout or from the image:
    git clone <repository> && cd stillwatch && make demo
To report events and enforce revocations in your own service, nothing else is needed:
    from stillwatch.gateway import Enforcer, Publisher, StillwatchMiddleware
"""


def main() -> int:
    """Runs ``launch.cli:main``; exit code 2 where it is not installed."""
    try:
        cli = importlib.import_module("launch.cli")
    except ModuleNotFoundError as error:
        sys.stderr.write(_REMEDY.format(missing=error.name))
        return 2
    result = cli.main()
    return int(result or 0)
