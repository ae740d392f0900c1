"""The main job: traffic passes a gateway, a campaign is seen, the gateway stops it, and one trace shows how."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest
from live import LiveCluster, until_async
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from otlp_receiver import OtlpReceiver
from real_prompts import CORPORA, prompts_by_topic
from whole_line import BUILTIN_TRADES, scenario, trades_of

from launch.cluster import cluster
from launch.keys import with_local_key
from launch.replay import rebased
from launch.settings import load_settings
from stillwatch.event import RequestEvent
from stillwatch.gateway import Enforcer, Publisher, refuses
from stillwatch.names import SPAN_APPLY, SPAN_EVALUATE, SPAN_PROCESS, SPAN_PUBLISH, SPAN_REFUSE, SPAN_REVOKE
from stillwatch.simulator import BuiltinTexts, PoolTexts, TextSource, from_map, labels, simulate

pytestmark = [pytest.mark.ray, pytest.mark.timeout(420)]

# Of the campaign's accounts; the last ones to sign up have shown too little to be sure of.
ENOUGH = 1 / 3


@pytest.fixture(params=["builtin", "real"])
def traffic(request: pytest.FixtureRequest) -> tuple[list[RequestEvent], dict[str, str]]:
    texts: TextSource
    if request.param == "real":
        if not CORPORA.is_dir():
            pytest.skip("the shared corpora are not beside this checkout; the built-in prompts run the same line")
        texts = PoolTexts(prompts_by_topic(), variants=2)
        chosen = from_map(scenario(1, trades_of(texts.topics), ""))
    else:
        texts = BuiltinTexts()
        chosen = from_map(scenario(1, BUILTIN_TRADES, "en"))
    made = list(simulate(chosen, texts))
    shift = time.time_ns() - made[-1].time_unix_nano
    kinds = {row.account: row.kind for row in labels(chosen)}
    return list(rebased(made, shift)), dict(kinds)


@pytest.fixture
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


def gateway_tracer(otlp: OtlpReceiver) -> TracerProvider:
    """One publish in twenty is sampled, as a platform would do; nearly every batch then holds one."""
    provider = TracerProvider(resource=Resource({"service.name": "gateway"}), sampler=TraceIdRatioBased(0.05))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{otlp.endpoint}/v1/traces")))
    return provider


async def test_a_campaign_is_seen_and_stopped_and_one_trace_shows_it(
    live: LiveCluster, traffic: tuple[list[RequestEvent], dict[str, str]]
) -> None:
    events, kinds = traffic
    attackers = {event.account for event in events if kinds[event.account] == "attack"}
    provider = gateway_tracer(live.otlp)
    tracer = provider.get_tracer("test-gateway")
    client = await live.client()
    try:
        async with Enforcer(client, tracer=tracer) as enforcer, Publisher(client, tracer=tracer) as publisher:
            assert await enforcer.wait_loaded(20)
            for event in events:
                while publisher.stats.queued_events > 5_000:  # noqa: ASYNC110 - the publisher has no such event
                    await asyncio.sleep(0.01)
                publisher.publish(event)
            assert await publisher.drain(60)
            assert sum(publisher.stats.dropped.values()) == 0

            async def stopped() -> bool:
                return sum(refuses(enforcer.check(account)) for account in attackers) >= ENOUGH * len(attackers)

            await until_async(stopped, 120, "a third of the campaign's accounts is refused at the gateway")
            honest = [account for account, kind in kinds.items() if kind != "attack"]
            assert not [account for account in honest if refuses(enforcer.check(account))]
            refused = next(account for account in sorted(attackers) if refuses(enforcer.check(account)))
            found = enforcer.check(refused)
            assert found is not None
            enforcer.refused(found, refused)
    finally:
        await client.close()
    await asyncio.to_thread(provider.shutdown)
    explained_by_the_api(live, attackers, refused)
    one_trace_from_publish_to_refusal(live.otlp)
    prompts = {str(event.attributes["stillwatch.prompt.text"]).encode() for event in events[:2_000]}
    assert not [prompt for prompt in prompts if len(prompt) > 20 and prompt in live.otlp.raw()]


def explained_by_the_api(live: LiveCluster, attackers: set[str], refused: str) -> None:
    with live.api() as api:
        account = api.get(f"/v1/accounts/{refused}").raise_for_status().json()
        assert account["campaign"]
        assert account["enforced"]["reason"]
        campaign = api.get(f"/v1/campaigns/{account['campaign']}").raise_for_status().json()
        homogeneity = campaign["signals"][0]
        assert homogeneity["value"] < homogeneity["normal"][0]
        assert campaign["growth"]
        assert {m["account"] for m in campaign["members"] if m["confidence"] >= 0.99} <= attackers


def one_trace_from_publish_to_refusal(otlp: OtlpReceiver) -> None:
    names = {SPAN_PUBLISH, SPAN_PROCESS, SPAN_EVALUATE, SPAN_REVOKE, SPAN_APPLY, SPAN_REFUSE}
    complete = otlp.wait_until(lambda spans: names <= {span.name for _, span in spans}, 30)
    assert complete, f"missing: {names - {span.name for _, span in otlp.spans()}}"
    spans = [span for _, span in otlp.spans()]
    by_id = {span.span_id: span for span in spans}
    refusal = next(span for span in spans if span.name == SPAN_REFUSE)
    assert otlp.wait_until(lambda now: refusal.parent_span_id in {span.span_id for _, span in now}, 15)
    by_id = {span.span_id: span for _, span in otlp.spans()}
    chain: list[Span] = [refusal]
    while chain[-1].parent_span_id:
        chain.append(by_id[chain[-1].parent_span_id])
    assert [span.name for span in chain] == [SPAN_REFUSE, SPAN_REVOKE, SPAN_EVALUATE, SPAN_PROCESS, SPAN_PUBLISH]
    assert len({span.trace_id for span in chain}) == 1
    applied = [span for span in by_id.values() if span.name == SPAN_APPLY and span.parent_span_id == chain[1].span_id]
    assert applied
    batches = [span for span in by_id.values() if span.name == SPAN_PROCESS]
    assert any(span.links for span in batches)
    attributes = {attribute.key for attribute in batches[0].attributes}
    assert {"messaging.system", "messaging.operation.name", "messaging.batch.message_count"} <= attributes
