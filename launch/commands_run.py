"""Commands that run or prepare a cluster: up, demo, streams, config, keys."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated

import typer
import yaml

from launch.cluster import cluster, ensure_topology
from launch.demo import run_demo
from launch.keys import with_local_key
from launch.running import Address, announce, wait_for_stop, withdraw
from launch.settings import load_policy, load_settings
from serve.keys import SCOPES, Scope, mint
from stillwatch.errors import SettingsError

Config = Annotated[str | None, typer.Option(help="A YAML file of settings; else STILLWATCH_CONFIG, else defaults.")]

streams = typer.Typer(help="The streams, buckets and consumers on NATS.", no_args_is_help=True)
config = typer.Typer(help="Look at and check configuration.", no_args_is_help=True)
keys = typer.Typer(help="API keys.", no_args_is_help=True)


def up(
    config: Config = None,
    api_port: Annotated[int | None, typer.Option(help="Port of the API; 0 takes a free one.")] = None,
) -> None:
    """Run a cluster on this machine until you stop it (Ctrl-C)."""
    overrides = {} if api_port is None else {"serve": {"port": api_port}}
    settings = load_settings(config, overrides)
    settings, key = with_local_key(settings)
    with cluster(settings) as running:
        announce(settings.data_dir, Address(running.http_url, key, running.nats_url, os.getpid()))
        print(welcome(running.http_url, running.nats_url, key), flush=True)
        wait_for_stop()
        print("stopping (about 10 s) ...", flush=True)
        withdraw(settings.data_dir)


def welcome(http_url: str, nats_url: str, key: str) -> str:
    shown = key or "(from your api_keys_file)"
    return f"""
Stillwatch is up.
  operator page   {http_url}/{"#key=" + key if key else ""}
  API             {http_url}/openapi.json   (docs/api.md)
  metrics         {http_url}/metrics
  NATS            {nats_url}   publish to stillwatch.requests.<account>
  API key         {shown}

  curl -H 'Authorization: Bearer {shown}' {http_url}/v1/campaigns
  make replay EVENTS=file.jsonl      Ctrl-C stops everything.
"""


def demo(
    seconds: Annotated[float, typer.Option(help="How long three days of traffic take.", min=20)] = 90.0,
    scenario: Annotated[str, typer.Option(help="The scenario that is played.")] = "configs/scenarios/demo.yaml",
    linger: Annotated[bool, typer.Option(help="Keep the cluster running afterwards, until Ctrl-C.")] = False,
) -> None:
    """Three days of traffic in a minute and a half: a campaign appears and is revoked."""
    raise typer.Exit(run_demo(scenario, seconds, linger))


@streams.command()
def ensure(config: Config = None) -> None:
    """Create or update streams, buckets and consumers. Safe to run again."""
    settings = load_settings(config)
    if not settings.nats.urls:
        raise SettingsError(
            "nats.urls", "is empty", "Name the NATS server; the embedded one is set up by `stillwatch up`"
        )
    asyncio.run(ensure_topology(settings))
    print(f"streams, buckets and {settings.partitions} consumers are as configured")


@config.command("print")
def print_config(config: Config = None) -> None:
    """The effective settings, with where they come from merged."""
    print(yaml.safe_dump(load_settings(config).model_dump(mode="json"), sort_keys=False), end="")


@config.command("check-policy")
def check_policy(file: str) -> None:
    """Is this policy valid? Prints what it does."""
    policy = load_policy(file)
    print(f"{file}: version {policy.version}, mode {policy.mode}")
    for rule in policy.rules:
        threshold = f"e-value ≥ {rule.min_e_value:g}" if rule.kind == "campaign" else f"score ≥ {rule.min_score:g}"
        spared = f", below {rule.below_verification} verification" if rule.below_verification else ""
        print(f"  {rule.name}: {rule.kind} with {threshold}{spared} → {rule.action} for {rule.ttl_s / 3600:g} h")


@keys.command("mint")
def mint_key(
    name: str,
    scope: Annotated[list[str], typer.Option(help=f"Repeat it; one of {', '.join(SCOPES)}.")],
    note: str = "",
    owner: Annotated[str, typer.Option(help="The person; two keys of one owner are one for approvals.")] = "",
) -> None:
    """A new API key: the key once, and the entry for the keys file, which holds only its hash."""
    scopes: list[Scope] = [known for known in SCOPES if known in scope]
    if len(scopes) != len(set(scope)):
        raise SettingsError("scope", f"unknown among {', '.join(scope)}", f"Use {', '.join(SCOPES)}")
    key, entry = mint(name, scopes, note, owner=owner)
    print(f"key (shown once): {key}\nentry for the keys file:\n{entry}", end="")
