"""The app as a Ray Serve deployment: the only file that imports ``ray.serve``, under an alias, because our own package
is called ``serve``.

A replica makes its ports inside its own event loop from ``connect``, which ``launch`` passes in: a picklable function,
so that nothing here knows NATS or actors. Ray's HAProxy ingress is switched by the environment, before Ray is
imported: see :mod:`serve.proxy`.
"""

from __future__ import annotations

from typing import Any, Final, cast

from fastapi import FastAPI
from ray import serve as ray_serve
from ray.serve import Application

from serve.app import build
from serve.key_watch import Load
from serve.keys import KeyRing
from serve.ports import About, Connect, ServePorts
from stillwatch.settings import ServeSettings

__all__ = ["Application", "bind_app", "run_app", "shut_down_app"]

APPLICATION: Final = "stillwatch"
# Requests have a deadline of 30 s; what still runs after this was lost anyway.
DRAIN_S: Final = 35.0


class HttpReplica:
    """One replica. Plain: ``bind_app`` wraps it, under another name, so that it pickles by reference."""

    # Ray awaits it: the ports must be made in the loop that will use them.
    async def __init__(  # type: ignore[misc]
        self, connect: Connect, settings: ServeSettings, keys: KeyRing, about: About, reread_keys: Load | None
    ) -> None:
        self._ports: ServePorts = await connect()
        self._settings, self._keys, self._about, self._reread_keys = settings, keys, about, reread_keys

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Called by Ray behind ``__init__``; it then runs the app's lifespan, whose end closes the ports."""
        return build(self._ports, self._settings, self._keys, self._about, reread_keys=self._reread_keys)

    async def check_health(self) -> None:
        """Alive when this runs. Nothing of NATS or the shards: replicas that restart because NATS is away would answer
        nobody, where these still answer /authz from RAM. /readyz says what is missing."""


def bind_app(
    connect: Connect, settings: ServeSettings, keys: KeyRing, about: About, reread_keys: Load | None = None
) -> Application:
    # ingress() and deployment() are typed as decorators of anything; what they return has `bind`.
    ingress: Any = ray_serve.ingress()(HttpReplica)
    deployment: Any = ray_serve.deployment(
        ingress,
        name="http",
        num_replicas=settings.replicas,
        max_ongoing_requests=settings.max_ongoing_requests,
        graceful_shutdown_timeout_s=DRAIN_S,
        health_check_period_s=10,
        health_check_timeout_s=30,
        # It waits for others; cores belong to the shards. Not 0, though: a head node on Kubernetes offers no CPU, and what
        # asks for none may land there, where no request is sent.
        ray_actor_options={"num_cpus": 0.01},
        logging_config={"enable_access_log": False},  # /metrics counts requests; a line for each helps nobody
    )
    return cast(Application, deployment.bind(connect, settings, keys, about, reread_keys))


def run_app(app: Application, settings: ServeSettings) -> None:
    """Blocks until every replica has its ports. Ray must be up."""
    options: dict[str, Any] = {"host": settings.host, "port": settings.port}
    if settings.tls_cert_file is not None:
        options |= {"ssl_certfile": settings.tls_cert_file, "ssl_keyfile": settings.tls_key_file}
    ray_serve.start(http_options=options)
    ray_serve.run(app, name=APPLICATION, route_prefix="/")


def shut_down_app() -> None:
    """Drains: no new requests, the running ones to their end, then the ports are closed."""
    ray_serve.shutdown()  # type: ignore[no-untyped-call]
