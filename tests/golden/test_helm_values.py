"""What the chart refuses, and that it says why: by its schema, by its templates, and by asking the cluster."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from charts import CHART, Object, helm, rendered

_CHART = helm.Chart.load(CHART)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"partitons": 64}, "partitons"),
        ({"partitions": 0}, "partitions"),
        ({"partitions": 2048}, "partitions"),
        ({"partitions": "64"}, "partitions"),
        ({"policy": {"mode": "on"}}, "mode"),
        ({"policy": {"rules": [{"name": "x", "kind": "campaign", "action": "shout", "ttl_s": 600}]}}, "action"),
        ({"policy": {"limits": {"max_share_of_active_accounts": 2}}}, "max_share_of_active_accounts"),
        ({"settings": {"detection": {"false_discovery_levle": 0.1}}}, "false_discovery_levle"),
        ({"settings": {"ingest": {"batch_messages": 100_000}}}, "batch_messages"),
        ({"settings": {"nats": {"urls": ["nats://elsewhere"]}}}, "urls"),  # set by nats.* and externalNats.urls
        ({"settings": {"serve": {"api_keys_file": "/x"}}}, "api_keys_file"),
        ({"natsAuth": {"password": "hunter2"}}, "password"),
        ({"apiKeys": {"keys": ["swk_ops_secret"]}}, "keys"),
        ({"externalNats": {"urls": ["nats://user:hunter2@nats:4222"]}}, "urls"),
        ({"otel": {"endpoint": "collector:4318"}}, "endpoint"),
        ({"image": {"digest": "latest"}}, "digest"),
        ({"worker": {"replicas": 0}}, "replicas"),
        ({"fullnameOverride": "a" * 41}, "fullnameOverride"),
        ({"upgrade": {"strategy": "Recreate"}}, "strategy"),
        ({"extraEnv": [{"name": "A", "secret": "b"}]}, "secret"),
    ],
)
def test_a_value_that_can_not_be_right_is_refused_by_name(values: Object, named: str) -> None:
    with pytest.raises(helm.HelmValuesError, match=named):
        rendered(values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"nats": {"enabled": False}}, "No NATS is configured. Set nats.enabled=true"),
        ({"externalNats": {"urls": ["nats://n:4222"]}}, "Both nats.enabled and externalNats.urls are set"),
        ({"partitions": 4, "shards": 5}, "shards=5 is more than partitions=4"),
        ({"natsAuth": {"urlsKey": "urls"}}, "natsAuth.urlsKey names a key, but natsAuth.existingSecret"),
        (
            {"natsAuth": {"existingSecret": "s", "certKey": "client.crt"}},
            "natsAuth.certKey and natsAuth.keyKey belong together",
        ),
        ({"natsAuth": {"caKey": "ca.crt"}}, "natsAuth.caKey names a key, but natsAuth.existingSecret"),
        ({"policy": {"rules": []}}, "policy.rules differs from the default policy, but policy.version is not set"),
        ({"policy": {"never_act": ["probe"]}}, "policy.never_act differs from the default policy"),
    ],
)
def test_values_that_do_not_fit_together_are_refused_with_the_remedy(values: Object, message: str) -> None:
    with pytest.raises(helm.HelmRenderError, match=message):
        rendered(values)


def test_an_upgrade_may_not_change_the_partition_count() -> None:
    with a_cluster(installed={"stillwatch.yaml": "partitions: 32\n"}) as cluster:
        with pytest.raises(helm.HelmRenderError, match="partitions is 32 in the installed release and 64 in these"):
            cluster.render(_CHART, {}, name="sw", namespace="trust")
        assert cluster.render(_CHART, {"partitions": 32}, name="sw", namespace="trust")
        assert cluster.render(_CHART, {"checks": {"partitions": False}}, name="sw", namespace="trust")


@pytest.mark.parametrize("data", [None, {}, {"other": "x"}, {"stillwatch.yaml": "{}"}])
def test_a_first_installation_may_choose_any_partition_count(data: dict[str, str] | None) -> None:
    with a_cluster(installed=data) as cluster:
        assert cluster.render(_CHART, {"partitions": 7}, name="sw", namespace="trust")


def test_a_cluster_without_kuberay_is_refused_with_the_remedy() -> None:
    with a_cluster() as cluster, pytest.raises(helm.HelmReleaseError, match="does not know RayService") as refused:
        cluster.install(_CHART, "sw", {}, namespace="trust", dry_run="server")
    assert "checks.rayServiceCrd=false" in str(refused.value)


@pytest.mark.parametrize(("kuberay", "values"), [(True, {}), (False, {"checks": {"rayServiceCrd": False}})])
def test_a_cluster_with_kuberay_passes_that_check_and_so_does_one_told_not_to_look(
    kuberay: bool, values: Object
) -> None:
    # The stand-in has no OpenAPI, so Helm stops at its next step: validating what it has rendered.
    with (
        a_cluster(kuberay=kuberay) as cluster,
        pytest.raises(helm.HelmReleaseError, match="failed to download openapi"),
    ):
        cluster.install(_CHART, "sw", values, namespace="trust", dry_run="server")


@contextmanager
def a_cluster(installed: dict[str, str] | None = None, kuberay: bool = False) -> Iterator[Any]:
    """Helm, connected to as much of the Kubernetes API as it asks before it installs: no Kubernetes can run here. The
    connection and Helm's questions are real. ``installed`` is the data of the release's ConfigMap."""

    def kinds(version: str, plural: str, kind: str) -> Object:
        resource = {"name": plural, "singularName": kind.lower(), "namespaced": True, "kind": kind, "verbs": ["get"]}
        return {"kind": "APIResourceList", "groupVersion": version, "resources": [resource]}

    ray = {"groupVersion": "ray.io/v1", "version": "v1"}
    groups = [{"name": "ray.io", "versions": [ray], "preferredVersion": ray}] if kuberay else []
    answers: Object = {
        "/version": {"major": "1", "minor": "33", "gitVersion": "v1.33.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups},
        "/api/v1": kinds("v1", "configmaps", "ConfigMap"),
        "/apis/ray.io/v1": kinds("ray.io/v1", "rayservices", "RayService") if kuberay else None,
    }
    if installed is not None:
        answers["/api/v1/namespaces/trust/configmaps/sw-stillwatch"] = {
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "sw-stillwatch"}, "data": installed,
        }  # fmt: skip

    class Api(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answers.get(self.path.partition("?")[0])
            missing = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
            data = json.dumps(found or missing).encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        kubeconfig = {
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "trust"}}],
            "users": [{"name": "u", "user": {}}],
        }  # fmt: skip
        config = helm.Config(kubeconfig_content=json.dumps(kubeconfig), namespace="trust", storage_driver="memory")
        try:
            with config:
                yield config
        finally:
            server.shutdown()
