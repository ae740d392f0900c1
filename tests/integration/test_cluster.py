"""The whole line on real parts: nats-server, Ray, Ray Serve with its ingress, an OTLP receiver. One cluster for all."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import msgpack
import pytest
from live import LiveCluster, event, raw_event, until, until_async
from otlp_receiver import OtlpReceiver

from launch.cluster import cluster
from launch.keys import with_local_key
from launch.settings import load_settings
from stillwatch.gateway import Enforcer, refuses
from stillwatch.subjects import request_subject

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveCluster]:
    otlp = OtlpReceiver()
    overrides = {
        "data_dir": str(tmp_path_factory.mktemp("cluster")),
        "telemetry": {"otlp_endpoint": otlp.endpoint, "sampling_ratio": 1.0},
    }
    settings, key = with_local_key(load_settings("configs/profiles/demo.yaml", overrides, environment={}))
    try:
        with cluster(settings) as running:
            yield LiveCluster(running, key, otlp)
    finally:
        otlp.close()


def http_event(account: str, number: int) -> dict[str, object]:
    made = event(account, number, f"how do I fix bug {number} in my parser")
    return {**made.to_map(), "trace_id": None, "span_id": None}


def test_with_nothing_but_http_an_account_is_scored_revoked_refused_and_forgiven(live: LiveCluster) -> None:
    with live.api() as api:
        published = api.post("/v1/events", json=[http_event("curl-user", n) for n in range(20)])
        assert published.status_code == 202, published.text

        def seen() -> bool:
            answer = api.get("/v1/accounts/curl-user")
            return answer.status_code == 200 and (answer.json()["state"] or {}).get("events") == 20

        until(seen, what="20 events in state")
        score = api.post("/v1/score", json=http_event("curl-user", 99)).raise_for_status().json()
        assert score["account"] == "curl-user"
        assert score["signals"]
        assert all(signal["sentence"] for signal in score["signals"])

        def allowed() -> int:
            return api.get("/authz/v1/chat/completions", headers={"x-stillwatch-account": "curl-user"}).status_code

        assert allowed() == 200
        body = {"account": "curl-user", "action": "revoke", "reason": "a test", "ttl_s": 600}
        revoked = api.post("/v1/revocations", json=body, headers={"Idempotency-Key": "k-1"})
        assert revoked.status_code == 201, revoked.text
        again = api.post("/v1/revocations", json=body, headers={"Idempotency-Key": "k-1"})
        assert again.json()["id"] == revoked.json()["id"]
        until(lambda: allowed() == 403, 10, "ext_authz refuses")
        assert api.delete(f"/v1/revocations/{revoked.json()['id']}").is_success
        until(lambda: allowed() == 200, 10, "ext_authz allows again")


def test_nothing_mutable_without_a_key(live: LiveCluster) -> None:
    with live.api(key="swk_nobody_x") as api:
        assert api.post("/v1/events", json=[http_event("a", 1)]).status_code == 401
        assert api.put("/v1/control/enforcement", json={"enforcement": "off"}).status_code == 401


async def test_raw_msgpack_of_a_client_without_our_code_is_scored(live: LiveCluster) -> None:
    client = await live.client()
    try:
        for number in range(15):
            await client.publish(request_subject("other-language"), raw_event("other-language", number))
        await client.flush()
    finally:
        await client.close()
    with live.api() as api:

        def seen() -> bool:
            state = api.get("/v1/accounts/other-language").json().get("state") or {}
            return state.get("events") == 15

        until(seen, what="15 raw events in state")
        # An opinion may be missing (few accounts have taught what is normal), signals may not.
        assert api.get("/v1/accounts/other-language").json()["signals"]


async def test_a_killed_shard_comes_back_and_nothing_published_is_lost(live: LiveCluster) -> None:
    before = live.status()
    shards = {shard["shard"]: shard["pid"] for shard in before["shards"]}
    client = await live.client()
    hub = live.hub(client)
    accounts = [f"survivor-{n}" for n in range(40)]
    published = 0
    try:
        for number in range(30):
            published += await hub.publisher.publish(
                [event(account, number, f"what is topic {number}") for account in accounts]
            )
            if number == 10:
                victim = next(iter(shards.values()))
                assert victim != os.getpid()
                os.kill(victim, signal.SIGKILL)
    finally:
        await client.close()
    assert published == 1_200

    def whole() -> bool:
        status = live.status()
        alive = {shard["shard"]: shard["pid"] for shard in status["shards"] or []}
        counted = status["events"] == before["events"] + published
        return alive.keys() == shards.keys() and alive != shards and counted and status["waiting"] == 0

    until(whole, 90, "the shard is back and every event is counted once")
    with live.api() as api:
        for account in accounts[:10]:
            assert api.get(f"/v1/accounts/{account}").json()["state"]["events"] == 30


def hostile(rng: random.Random) -> bytes:
    """Random bytes, wrong types, huge, deep, NaN, future times."""
    base = {"v": 1, "id": f"h-{rng.random()}", "time_unix_nano": 1_790_000_000_000_000_000, "account": "hostile"}
    deep: object = 1
    for _ in range(600):
        deep = [deep]
    choice = rng.randrange(8)
    if choice == 0:
        return rng.randbytes(rng.randrange(1, 200))
    made: object = [
        {**base, "account": rng.choice([5, None, "a b", "x" * 500, b"\xff"])},
        {**base, "time_unix_nano": rng.choice([-1, 2**63 - 1, 1.5, "now", 4_000_000_000_000_000_000])},
        {**base, "attributes": {"gen_ai.usage.input_tokens": rng.choice([float("nan"), float("inf"), -1, "many"])}},
        {**base, "attributes": {"stillwatch.prompt.text": "x" * 70_000}},
        {**base, "attributes": {"stillwatch.client.asn": deep}},
        rng.choice([None, 1, [], {}, "text", [[[]]], {"v": 1}, [1, 2, 3]]),
        {**base, "account": "somebody-else"},
    ][choice - 1]
    return bytes(msgpack.packb(made))


async def test_ten_thousand_hostile_messages_leave_the_cluster_healthy(live: LiveCluster) -> None:
    rng = random.Random(7)
    before = live.status()
    client = await live.client()
    hub = live.hub(client)
    letters_before = await hub.dead_letters.count()
    try:
        for number in range(10_000):
            await client.publish(request_subject("hostile"), hostile(rng))
            if number % 500 == 499:
                await client.flush()
        good = [event("after-the-storm", number, "is anybody there") for number in range(10)]
        assert await hub.publisher.publish(good) == 10

        async def settled() -> bool:
            status = await asyncio.to_thread(live.status)
            taken = status["waiting"] == 0 and status["ready"] and status["rejected"] >= before["rejected"] + 10_000
            # Counted when it is refused, stored a moment later, and acknowledged only then.
            return bool(taken) and await hub.dead_letters.count() >= letters_before + 10_000

        await until_async(settled, 90, "every hostile message was taken, and kept as a dead letter")
        letters = await hub.dead_letters.newest(200)
        assert len({letter.rejected.reason for letter in letters}) >= 4
        assert all(letter.rejected.detail for letter in letters)
    finally:
        await client.close()
    with live.api() as api:
        answer = api.get("/v1/accounts/after-the-storm").json()
        assert answer["state"]["events"] == 10
        assert api.get("/v1/accounts/hostile").status_code == 404


async def test_the_kill_switch_lets_everybody_pass_at_every_gateway(live: LiveCluster) -> None:
    client = await live.client()
    try:
        async with Enforcer(client) as enforcer:
            assert await enforcer.wait_loaded(10)
            with live.api() as api:
                body = {"account": "switched", "action": "suspend", "reason": "a test", "ttl_s": 600}
                assert api.post("/v1/revocations", json=body).status_code == 201

                async def refused() -> bool:
                    return refuses(enforcer.check("switched"))

                async def passes() -> bool:
                    return not refuses(enforcer.check("switched"))

                await until_async(refused, 10, "the gateway refuses")
                assert api.put("/v1/control/enforcement", json={"enforcement": "off"}).is_success
                await until_async(passes, 1, "the kill switch is honoured within a second")
                assert api.put("/v1/control/enforcement", json={"enforcement": "on"}).is_success
                await until_async(refused, 10, "the gateway refuses again")
    finally:
        await client.close()


def test_metrics_and_the_page_answer(live: LiveCluster) -> None:
    with live.api() as api:
        metrics = api.get("/metrics").text
        assert "stillwatch_events_total" in metrics
        assert "account" not in [line.split("{")[0] for line in metrics.splitlines()]
        page = api.get("/")
        assert page.status_code == 200
        assert "Stillwatch" in page.text


def test_no_prompt_text_is_in_traces_or_logs(live: LiveCluster) -> None:
    """Runs last: everything that the tests above have sent is searched for its prompts."""
    canaries = [b"how do I fix bug", b"is anybody there", b"what is topic"]
    traces = live.otlp.raw()
    assert traces
    logs = b"".join(path.read_bytes() for path in Path("/tmp/ray/session_latest/logs").rglob("*") if path.is_file())  # noqa: S108
    for canary in canaries:
        assert canary not in traces
        assert canary not in logs
