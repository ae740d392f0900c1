"""What Ray Serve must find in the environment before it is imported, in the driver and on every node."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from stillwatch.settings import ServeSettings

# Ray gives a proxy 15 s to come up, then kills it, and starting fails. On two busy cores, importing Ray takes longer.
_SLOW_START = {"RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "40"}


def environment(settings: ServeSettings) -> Mapping[str, str]:
    """HAProxy in front of the replicas carries four times the requests of Ray's Python proxy. It comes with
    ``ray[serve]`` on Linux only, and terminates no TLS: put a gateway in front of it. The replicas behind it listen on
    all interfaces, from port 30000, whatever ``host`` says: a network policy keeps others away from them."""
    if not settings.haproxy or not sys.platform.startswith("linux"):
        return _SLOW_START
    return {
        **_SLOW_START,
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        # A replica that stops stays reachable this long for load balancers that learn late. Ray's 30 s are for foreign
        # ones; its own HAProxy is told by the controller, within a second.
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "3",
    }
