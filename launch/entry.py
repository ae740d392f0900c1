"""What KubeRay's serveConfigV2 imports: ``import_path: launch.entry:http``.

The Serve controller calls it once; it creates the streams and the actors (what exists is left alone) and returns the
HTTP application.
"""

from __future__ import annotations

import asyncio
from typing import Any

from actors.host import start_actors
from launch.cluster import ensure_topology, http_application
from launch.keys import read_keys
from launch.settings import load_settings
from launch.telemetry import configure_logging
from launch.wiring import aggregator_factory, shard_factory
from serve.deployment import Application
from stillwatch.errors import SettingsError


def http(args: dict[str, Any]) -> Application:
    """``args``: ``config``, the path of the YAML file; without it, STILLWATCH_CONFIG and the environment."""
    settings = load_settings(args.get("config"))
    configure_logging(settings.telemetry)
    if not settings.nats.urls:
        raise SettingsError(
            "nats.urls",
            "empty",
            "A cluster needs a NATS server that outlives its pods; the embedded one is for one machine",
        )
    asyncio.run(ensure_topology(settings))
    start_actors(settings, shard_factory(settings), aggregator_factory(settings))
    return http_application(settings, read_keys(settings))
