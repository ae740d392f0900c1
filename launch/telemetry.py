"""Logging and OpenTelemetry for one process. Providers are handed over, never installed globally: Ray Serve installs
its own, and two in one process lose spans."""

from __future__ import annotations

import logging
import time

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import NoOpTracer, Tracer

import stillwatch
from stillwatch.settings import TelemetrySettings


class SystemClock:
    """ports.Clock over the machine's clocks."""

    def unix_nano(self) -> int:
        return time.time_ns()

    def monotonic_s(self) -> float:
        return time.monotonic()


def configure_logging(settings: TelemetrySettings) -> None:
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s", datefmt="%Y-%m-%dT%H:%M:%S%z"
    )
    logging.getLogger("stillwatch").setLevel(settings.log_level)


def make_tracer(settings: TelemetrySettings, service: str) -> Tracer:
    """A tracer that exports over OTLP/HTTP, or one that does nothing when no endpoint is configured.

    A sampled gateway span is always continued (ParentBased); the ratio is for what starts here.
    """
    if settings.otlp_endpoint is None:
        return NoOpTracer()
    resource = Resource.create(
        {"service.name": service, "service.namespace": "stillwatch", "service.version": stillwatch.__version__}
    )
    provider = TracerProvider(resource=resource, sampler=ParentBased(TraceIdRatioBased(settings.sampling_ratio)))
    exporter = OTLPSpanExporter(endpoint=f"{settings.otlp_endpoint.rstrip('/')}/v1/traces", timeout=5)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1_000))
    return provider.get_tracer("stillwatch", stillwatch.__version__)
