"""The RayService that the chart renders, as KubeRay, Ray Serve and Stillwatch itself will read it."""

import importlib.metadata
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jsonschema
import pytest
import yaml
from charts import CASES, ROOT, Object, case_values, environment, one, pod_specs, ray_pods
from jsonschema.protocols import Validator

from actors import host
from launch.settings import load_policy, load_settings
from serve import deployment, proxy
from serve.keys import KeyRing
from serve.ports import About, ServePorts
from stillwatch.settings import ServeSettings, Settings

SCHEMA = ROOT.parent / "shared" / "schemas" / "rayservice-v1.json"


@pytest.fixture(scope="module")
def rayservice() -> Validator:
    if not SCHEMA.exists():
        pytest.skip("KubeRay's schema of RayService is not beside the checkout (../shared/schemas/rayservice-v1.json)")
    return jsonschema.Draft7Validator(_strict(json.loads(SCHEMA.read_text())["schema"]))


@pytest.mark.parametrize("case", CASES)
def test_kuberay_knows_every_field(case: str, rayservice: Validator) -> None:
    found = one("RayService", case_values(case))
    assert [f"{error.json_path}: {error.message}" for error in rayservice.iter_errors(found)] == []


def test_a_misspelt_field_would_be_noticed(rayservice: Validator) -> None:
    found = json.loads(json.dumps(one("RayService")))
    found["spec"]["rayClusterConfig"]["headGroupSpecs"] = {}
    found["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]["template"]["spec"]["containers"][0]["imagePolicy"] = "x"
    found["spec"]["serveConfigV2"] = {"applications": []}
    problems = "\n".join(error.message for error in rayservice.iter_errors(found))
    assert "headGroupSpecs" in problems
    assert "imagePolicy" in problems
    assert "is not of type 'string'" in problems


@pytest.mark.parametrize("case", CASES)
def test_ray_serve_accepts_its_configuration(case: str) -> None:
    from ray.serve.schema import ServeDeploySchema  # noqa: TID251  (its data model; no Serve is started)

    text = one("RayService", case_values(case))["spec"]["serveConfigV2"]
    parsed = ServeDeploySchema.model_validate(yaml.safe_load(text))
    [application] = parsed.applications
    assert application.import_path == "launch.entry:http"
    assert application.args == {"config": "/etc/stillwatch/stillwatch.yaml"}
    assert application.route_prefix == "/"
    assert (parsed.http_options.host, parsed.http_options.port) == ("0.0.0.0", 8000)
    assert parsed.http_options.request_timeout_s == 30
    # Options of deployments come from the configuration; here they would be a second place for the same thing.
    assert application.deployments == []


def test_arguments_for_the_builder_can_be_added() -> None:
    text = one("RayService", {"serve": {"args": {"canary": True}}})["spec"]["serveConfigV2"]
    args = yaml.safe_load(text)["applications"][0]["args"]
    assert args == {"config": "/etc/stillwatch/stillwatch.yaml", "canary": True}


@pytest.mark.parametrize("case", CASES)
def test_stillwatch_accepts_the_configuration_and_the_policy(case: str, tmp_path: Any) -> None:
    data = one("ConfigMap", case_values(case))["data"]
    for name in ("stillwatch.yaml", "policy.yaml"):
        (tmp_path / name).write_text(data[name])
    pod = environment(pod_specs(case_values(case))["worker"])
    given = {name: value for name, value in pod.items() if isinstance(value, str)}
    settings = load_settings(str(tmp_path / "stillwatch.yaml"), environment=given)
    policy = load_policy(str(tmp_path / "policy.yaml"))
    assert given["STILLWATCH_CONFIG"] == "/etc/stillwatch/stillwatch.yaml"
    assert settings.policy_file == "/etc/stillwatch/policy.yaml"
    assert settings.nats.urls
    assert settings.serve.replicas == case_values(case).get("worker", {}).get("replicas", 2)
    assert policy.mode == case_values(case).get("policy", {}).get("mode", "shadow")
    assert policy.rules


def test_what_production_sets_reaches_the_settings() -> None:
    data = one("ConfigMap", case_values("production"))["data"]
    settings, policy = yaml.safe_load(data["stillwatch.yaml"]), yaml.safe_load(data["policy.yaml"])
    assert settings["deployment"] == "eu-1"
    assert settings["nats"] == {
        "urls": ["nats://nats.trust.svc:4222"], "replicas": 3, "requests_max_bytes": 200_000_000_000,
        "credentials_file": "/etc/stillwatch-secrets/nats/nats.creds",
        "api": {"credentials_file": "/etc/stillwatch-secrets/nats/nats-api.creds"},
        "tls_ca_file": "/etc/stillwatch-secrets/nats/ca.crt",
        "tls_cert_file": "/etc/stillwatch-secrets/nats/client.crt",
        "tls_key_file": "/etc/stillwatch-secrets/nats/client.key",
    }  # fmt: skip
    assert settings["serve"]["api_keys_file"] == "/etc/stillwatch-secrets/api/api-keys.yaml"
    assert settings["telemetry"] == {
        "otlp_endpoint": "http://otel-collector.observability:4318", "sampling_ratio": 0.05,
    }  # fmt: skip
    assert (policy["version"], policy["mode"], policy["never_act"]) == ("eu-2026-11", "enforce", ["internal-probe"])
    assert policy["rules"] == yaml.safe_load((ROOT / "configs/policies/default.yaml").read_text())["rules"]


def test_a_password_url_replaces_the_public_one_in_the_settings(tmp_path: Any) -> None:
    file = tmp_path / "stillwatch.yaml"
    file.write_text(one("ConfigMap", case_values("external-nats"))["data"]["stillwatch.yaml"])
    secret = '["nats://scorer:a-password@nats-1.example.com:4222"]'
    settings = load_settings(str(file), environment={"STILLWATCH_NATS__URLS": secret})
    assert settings.nats.urls == ("nats://scorer:a-password@nats-1.example.com:4222",)
    assert settings.nats.credentials_file is None


@pytest.mark.parametrize(
    ("change", "same"),
    [({"policy": {"mode": "enforce"}}, False), ({"podMonitor": {"enabled": True}}, True), ({"shards": 8}, False)],
)
def test_a_change_of_configuration_is_a_new_cluster_and_nothing_else_is(change: Object, same: bool) -> None:
    before = {group: template["metadata"]["annotations"] for group, template in ray_pods().items()}
    after = {group: template["metadata"]["annotations"] for group, template in ray_pods(change).items()}
    assert (before == after) is same


def test_the_cluster_is_the_one_that_the_image_has() -> None:
    cluster = one("RayService")["spec"]["rayClusterConfig"]
    assert cluster["rayVersion"] == importlib.metadata.version("ray")
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    [workers] = cluster["workerGroupSpecs"]
    assert workers["replicas"] == workers["minReplicas"] == workers["maxReplicas"] == 2
    assert all(isinstance(value, str) for value in workers["rayStartParams"].values())


def test_nothing_that_works_can_land_on_the_head() -> None:
    """The head offers no CPU, so whatever asks for some goes to a worker. What asks for none may go anywhere: a replica
    on the head once left the workers without one, never ready, and the Service without anybody behind it."""
    about = About("sw", 4, "shadow", "1")
    bound = deployment.bind_app(_never_connected, ServeSettings(), KeyRing(), about)._bound_deployment
    assert one("RayService")["spec"]["rayClusterConfig"]["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert bound.ray_actor_options["num_cpus"] > 0
    assert host._options("shard-000", Settings())["num_cpus"] > 0


async def _never_connected() -> ServePorts:
    raise AssertionError


def test_ray_is_closed_unless_told_otherwise() -> None:
    cluster = one("RayService")["spec"]["rayClusterConfig"]
    assert cluster["authOptions"] == {"mode": "token"}
    assert one("RayService", case_values("production"))["spec"]["rayClusterConfig"]["authOptions"] == {
        "mode": "token", "secretName": "stillwatch-ray",
    }  # fmt: skip
    for template in ray_pods().values():
        names = environment(template["spec"])
        assert names["RAY_AUTH_MODE"] == "token"
        assert names["RAY_USAGE_STATS_ENABLED"] == "0"
        # What the command line sets where it starts Ray itself.
        assert proxy.environment(ServeSettings()).items() <= names.items()
    opened = {"ray": {"auth": {"enabled": False}}, "serve": {"haproxy": False}}
    assert "authOptions" not in one("RayService", opened)["spec"]["rayClusterConfig"]
    names = environment(ray_pods(opened)["head"]["spec"])
    assert "RAY_AUTH_MODE" not in names
    assert names["RAY_SERVE_ENABLE_HA_PROXY"] == "0"
    assert proxy.environment(ServeSettings(haproxy=False)).items() <= names.items()


def test_requests_go_to_workers_and_an_upgrade_runs_beside_the_old_cluster() -> None:
    spec = one("RayService")["spec"]
    assert spec["excludeHeadPodFromServeSvc"] is True
    assert spec["upgradeStrategy"] == {"type": "NewCluster"}
    assert spec["rayClusterDeletionDelaySeconds"] == 30


@pytest.mark.parametrize(("drain", "step", "period"), [(5, 20, 70), (0, 1, 8), (15, 60, 200)])
def test_the_grace_period_holds_all_that_the_stop_may_take(drain: int, step: int, period: int) -> None:
    values = {"shutdown": {"endpointDrainSeconds": drain, "stepSeconds": step}}
    for template in ray_pods(values).values():
        assert template["spec"]["terminationGracePeriodSeconds"] == period
        [_, _, script] = template["spec"]["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
        # `ray stop` gives each of its three steps a third of what it gets.
        assert script == f"sleep {drain}; ray stop --grace-period {3 * step}"


def test_probes_ask_public_paths_on_ports_that_are_fixed() -> None:
    for group, ready in {"head": "/api/gcs_healthz", "worker": "/-/healthz"}.items():
        [container] = ray_pods()[group]["spec"]["containers"]
        assert container["livenessProbe"]["httpGet"] == {"path": "/api/local_raylet_healthz", "port": 52365}
        assert container["readinessProbe"]["httpGet"]["path"] == ready
        assert container["readinessProbe"]["httpGet"]["port"] in {port["name"] for port in container["ports"]}
    cluster = one("RayService")["spec"]["rayClusterConfig"]
    for group in (cluster["headGroupSpec"], cluster["workerGroupSpecs"][0]):
        assert group["rayStartParams"]["dashboard-agent-listen-port"] == "52365"


def test_workers_are_spread_by_their_own_labels() -> None:
    template = ray_pods()["worker"]
    spread = template["spec"]["topologySpreadConstraints"]
    assert [rule["topologyKey"] for rule in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    for rule in spread:
        assert rule["labelSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert "topologySpreadConstraints" not in ray_pods()["head"]["spec"]


def test_traces_go_to_the_collector_with_the_pods_name() -> None:
    names = environment(pod_specs(case_values("production"))["worker"])
    assert names["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://otel-collector.observability:4318"
    assert "k8s.pod.name=$(POD_NAME)" in names["OTEL_RESOURCE_ATTRIBUTES"].split(",")
    order = [entry["name"] for entry in pod_specs(case_values("production"))["worker"]["containers"][0]["env"]]
    assert order.index("POD_NAME") < order.index("OTEL_RESOURCE_ATTRIBUTES"), "Kubernetes expands only what came before"
    assert not [name for name in environment(pod_specs()["worker"]) if name.startswith("OTEL_")]


@pytest.mark.parametrize(
    ("statuses", "passes"),
    [
        ({"/healthz": 200, "/readyz": 200, "/v1/revocations": 401, "/api/jobs/": 401}, True),
        ({"/healthz": 200, "/readyz": 503, "/v1/revocations": 401, "/api/jobs/": 401}, False),
        ({"/healthz": 200, "/readyz": 200, "/v1/revocations": 201, "/api/jobs/": 401}, False),
        ({"/healthz": 200, "/readyz": 200, "/v1/revocations": 403, "/api/jobs/": 200}, False),
    ],
)
def test_helm_test_passes_only_when_the_api_is_ready_and_closed(statuses: dict[str, int], passes: bool) -> None:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(statuses[self.path])
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    [container] = pod_specs()["test"]["containers"]
    assert environment(pod_specs()["test"])["API"] == "http://sw-stillwatch-serve-svc:8000"
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        command = [sys.executable, *container["command"][1:], *container["args"]]
        done = subprocess.run(
            command,
            check=False,
            env={**os.environ, "API": url, "RAY": url, "RAY_AUTH": "true"},
            capture_output=True,
            text=True,
        )
        server.shutdown()
    assert (done.returncode == 0) is passes, done.stdout + done.stderr
    assert done.stdout.count("\n") == 4


def _strict(schema: Any) -> Any:
    """Unknown keys fail, as `kubectl --validate=strict` has it; "number or text" becomes a plain pair of types."""
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = [key for key in schema if key != "properties" and not key.startswith("x-kubernetes-")]
    out = {key: _strict(schema[key]) for key in kept}
    if isinstance(schema.get("properties"), dict):
        out["properties"] = {key: _strict(value) for key, value in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields") and "additionalProperties" not in schema:
            out["additionalProperties"] = False
    if schema.get("x-kubernetes-int-or-string"):
        out["type"] = ["integer", "string"]
    return out
