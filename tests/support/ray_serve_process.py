"""A program: Ray, Ray Serve and the app over in-memory ports. Prints its URL; ends when its input ends.

A process of its own, because Ray Serve reads the environment when it is imported, once.
"""

from __future__ import annotations

import os
import sys

from launch.free_ports import free_ports
from serve.proxy import environment
from stillwatch.settings import ServeSettings


def main() -> None:
    port = free_ports(1)[0]
    # With a certificate and its key it speaks TLS.
    certificate, key = sys.argv[2:4] if len(sys.argv) > 2 else (None, None)
    settings = ServeSettings(port=port, haproxy=sys.argv[1] == "haproxy", tls_cert_file=certificate, tls_key_file=key)
    os.environ.update(environment(settings), RAY_USAGE_STATS_ENABLED="0")

    import ray
    from http_world import KEYS, PARTITIONS, memory_ports

    from serve import deployment
    from serve.ports import About

    path = os.pathsep.join(entry for entry in sys.path if entry)
    ray.init(
        num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR",
        runtime_env={"env_vars": {"PYTHONPATH": path}},
    )  # fmt: skip
    about = About("test", PARTITIONS, "shadow", "2026.11.1")
    deployment.run_app(deployment.bind_app(memory_ports, settings, KEYS.ring, about), settings)
    say(f"{'https' if certificate else 'http'}://127.0.0.1:{port} {KEYS.everything}")
    sys.stdin.read()
    deployment.shut_down_app()
    ray.shutdown()
    say("stopped")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
