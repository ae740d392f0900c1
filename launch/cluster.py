"""Starts everything on this machine: an embedded NATS unless one is configured, a local Ray, the actors, the API."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import ray

from actors.host import start_actors, stop_actors
from launch.embedded import EmbeddedNats
from launch.free_ports import free_ports
from launch.keys import read_keys
from launch.settings import load_policy
from launch.telemetry import configure_logging
from launch.wiring import aggregator_factory, make_serve_ports, shard_factory
from serve import deployment
from serve.deployment import Application
from serve.keys import KeyRing
from serve.oidc import check as check_oidc
from serve.ports import About
from serve.proxy import environment as proxy_environment
from stillwatch.errors import Unavailable
from stillwatch.settings import Settings
from streams.connection import close, connect
from streams.topology import ensure

log = logging.getLogger("stillwatch.launch")

_READY_WITHIN_S: Final = 90.0
_SERVES_OWN_PORTS: Final = (
    "RAY_SERVE_HAPROXY_METRICS_PORT", "RAY_SERVE_HAPROXY_STATS_PORT", "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Running:
    settings: Settings  # with the addresses that were chosen
    nats_url: str
    http_url: str
    nats: EmbeddedNats | None


@contextlib.contextmanager
def cluster(settings: Settings) -> Iterator[Running]:
    """The whole line, until the context ends. Ends only what it started."""
    configure_logging(settings.telemetry)
    load_policy(settings.policy_file)  # a policy that can not be read must not be found out by an actor
    with contextlib.ExitStack() as stack:
        nats: EmbeddedNats | None = None
        if not settings.nats.urls:
            nats = stack.enter_context(EmbeddedNats(Path(settings.data_dir) / "nats"))
            settings = with_nats(settings, nats.url)
        if settings.serve.port == 0:
            serve = settings.serve.model_copy(update={"port": free_ports(1)[0]})
            settings = settings.model_copy(update={"serve": serve})
        asyncio.run(ensure_topology(settings))
        _start_ray(settings)
        stack.callback(_stop_ray)
        start_actors(settings, shard_factory(settings), aggregator_factory(settings))
        stack.callback(stop_actors, settings)
        deployment.run_app(http_application(settings, read_keys(settings)), settings.serve)
        stack.callback(deployment.shut_down_app)
        scheme = "http" if settings.serve.tls_cert_file is None else "https"
        http_url = f"{scheme}://{settings.serve.host}:{settings.serve.port}"
        await_ready(http_url, certificate=settings.serve.tls_cert_file)
        yield Running(settings, settings.nats.urls[0], http_url, nats)


def http_application(settings: Settings, keys: KeyRing) -> Application:
    policy = load_policy(settings.policy_file)
    check_oidc(settings.serve.oidc)
    about = About(
        settings.deployment, settings.partitions, policy.mode, policy.version, policy.approval, policy.never_act
    )
    # Replicas read the file again by themselves: a key that is taken away needs no restart.
    reread = functools.partial(read_keys, settings) if settings.serve.api_keys_file is not None else None
    make_ports = functools.partial(make_serve_ports, settings, policy.never_act)
    return deployment.bind_app(make_ports, settings.serve, keys, about, reread)


def with_nats(settings: Settings, url: str) -> Settings:
    return settings.model_copy(update={"nats": settings.nats.model_copy(update={"urls": (url,)})})


async def ensure_topology(settings: Settings) -> None:
    client = await connect(settings.nats, f"{settings.deployment}-launch")
    try:
        await ensure(client, settings)
    finally:
        await close(client)


def _start_ray(settings: Settings) -> None:
    # Read by Ray when it starts, and inherited by its processes.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    for name, value in proxy_environment(settings.serve).items():
        os.environ.setdefault(name, value)
    # Fixed by default: a second cluster on the machine would not start.
    for name, port in zip(_SERVES_OWN_PORTS, free_ports(len(_SERVES_OWN_PORTS)), strict=True):
        os.environ.setdefault(name, str(port))
    # Ray's processes import the same code as this one, whatever folder it was started in. Through the environment
    # and not as a runtime_env: that would forgo Ray's warm workers and add seconds to every actor.
    root = str(Path(__file__).resolve().parents[1])
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    start = functools.partial(
        ray.init,
        num_cpus=max(4, os.cpu_count() or 1),  # logical: our actors reserve none, Serve's replicas one each
        include_dashboard=False,
        logging_level=logging.ERROR,
        log_to_driver=settings.telemetry.log_level == "DEBUG",
        namespace=settings.deployment,
    )
    try:
        start()
    except Exception as error:
        # Ray gives its own node 30 s, a number that can not be changed; a machine that is busy now may not be in a minute.
        log.warning("Ray did not start (%s); trying once more", error)
        ray.shutdown()
        start()


def _stop_ray() -> None:
    ray.shutdown()


def await_ready(http_url: str, within_s: float = _READY_WITHIN_S, certificate: str | None = None) -> None:
    """Until /readyz says 200; raises with the reasons it gave last. ``certificate``: the one that is to be shown."""
    verify: ssl.SSLContext | bool = True
    if certificate is not None:
        # Pinned: this very certificate, whoever signed it and whatever name it is for.
        verify = ssl.create_default_context(cafile=certificate)
        verify.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        verify.check_hostname = False
    deadline = time.monotonic() + within_s
    last = "no answer yet"
    while time.monotonic() < deadline:
        try:
            answer = httpx.get(f"{http_url}/readyz", timeout=5, verify=verify)
            if answer.status_code == 200:
                return
            last = answer.text
        except httpx.HTTPError as error:
            last = repr(error)
        time.sleep(0.25)
    raise Unavailable("the cluster", f"not ready after {within_s:g} s: {last[:500]}")
