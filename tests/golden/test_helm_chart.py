"""What the chart renders: valid for Kubernetes, closed by default, secrets by reference only."""

import re
import subprocess
import sys
from collections.abc import Iterator

import kubernetes_validate
import pytest
import yaml
from charts import CASES, CHART, ROOT, case_values, environment, helm, objects, one, pod_specs, ray_pods, rendered

CUSTOM_KINDS = {"RayService", "PodMonitor"}  # not Kubernetes' own; RayService has its own test


@pytest.mark.parametrize("case", CASES)
def test_lint_has_nothing_to_say(case: str) -> None:
    report = helm.lint(CHART, case_values(case), strict=True)
    assert (report["messages"], report["errors"]) == ([], [])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("version", ["1.29.0", "1.33.0", "1.37.0"])
def test_every_object_is_one_that_kubernetes_accepts(case: str, version: str) -> None:
    kinds = set()
    for thing in objects(case_values(case)):
        kinds.add(thing["kind"])
        if thing["kind"] not in CUSTOM_KINDS:
            kubernetes_validate.validate(thing, version, strict=True)
    assert {"ConfigMap", "ServiceAccount", "Job", "Pod", "RayService"} <= kinds


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("group", ["head", "worker"])
def test_the_pods_of_ray_are_pods_that_kubernetes_accepts(case: str, group: str) -> None:
    template = ray_pods(case_values(case))[group]
    pod = {"apiVersion": "v1", "kind": "Pod", **template, "metadata": {**template["metadata"], "name": "ray"}}
    kubernetes_validate.validate(pod, "1.33", strict=True)


def test_the_generated_parts_of_the_chart_are_current() -> None:
    done = subprocess.run(
        [sys.executable, "helm/generate.py", "--check"], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_every_value_has_a_comment() -> None:
    text = (CHART / "values.yaml").read_text()
    table = (CHART / "README.md").read_text()
    documented = set(re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE))
    leaves = set(_leaves(yaml.safe_load(text)))
    bare = {leaf for leaf in leaves if not any(leaf == key or leaf.startswith(f"{key}.") for key in documented)}
    assert not bare
    assert len(documented) > 60


@pytest.mark.parametrize("case", CASES)
def test_no_pod_has_more_rights_than_it_needs(case: str) -> None:
    pods = pod_specs(case_values(case))
    assert set(pods) == {"head", "worker", "bootstrap", "test"}
    for name, pod in pods.items():
        assert pod["automountServiceAccountToken"] is False, name
        # Else Kubernetes adds STILLWATCH_SERVE_SVC_PORT and its kin, which our settings would refuse.
        assert pod["enableServiceLinks"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True, name
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"], name
    assert not [
        thing for thing in objects(case_values(case)) if thing["kind"] in {"Role", "RoleBinding", "ClusterRole"}
    ]


def test_whatever_is_written_at_run_time_lies_on_a_volume() -> None:
    for group in ("head", "worker"):
        spec = ray_pods()[group]["spec"]
        mounts = {mount["mountPath"]: mount["name"] for mount in spec["containers"][0]["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        for path in ("/tmp", "/dev/shm", "/var/lib/stillwatch"):  # noqa: S108  (paths inside the pod)
            assert "emptyDir" in volumes[mounts[path]], path
        assert volumes[mounts["/dev/shm"]]["emptyDir"]["medium"] == "Memory"  # noqa: S108


def test_secrets_are_mounted_by_key_and_never_rendered() -> None:
    values = case_values("production")
    for name in ("head", "worker", "bootstrap"):
        volumes = {volume["name"]: volume for volume in pod_specs(values)[name]["volumes"]}
        items = volumes["nats-auth"]["secret"]["items"]
        mounted = {item["path"]: item["key"] for item in items}
        common = {"ca.crt": "ca.crt", "client.crt": "client.crt", "client.key": "client.key"}
        if name == "bootstrap":
            assert mounted == {"nats.creds": "bootstrap.creds", **common}
        else:
            assert mounted == {"nats.creds": "scorer.creds", "nats-api.creds": "api.creds", **common}
        assert volumes["nats-auth"]["secret"]["defaultMode"] == 0o440
        assert ("api-keys" in volumes) is (name != "bootstrap")
    assert not [thing for case in CASES for thing in objects(case_values(case)) if thing["kind"] == "Secret"]
    for case in CASES:
        text = "\n".join(rendered(case_values(case)).values())
        assert not re.search(r"(?i)(password|passwd|secret_?key)\s*[:=]\s*['\"]?\w", text)
        assert not re.search(r"://[^/\s\"']*:[^/\s\"'@]*@", text), "a URL with a password"


def test_urls_with_passwords_come_from_the_secret_and_differ_between_scorer_and_bootstrap() -> None:
    values = case_values("external-nats")
    pods = pod_specs(values)

    def source(name: str, variable: str = "STILLWATCH_NATS__URLS") -> object:
        return environment(pods[name])[variable]["secretKeyRef"]

    assert source("worker") == source("head") == {"name": "stillwatch-nats", "key": "scorer-urls"}
    assert source("bootstrap") == {"name": "stillwatch-nats", "key": "bootstrap-urls"}
    assert source("worker", "STILLWATCH_NATS__API__URLS") == {"name": "stillwatch-nats", "key": "api-urls"}
    assert "STILLWATCH_NATS__API__URLS" not in environment(pods["bootstrap"])
    assert environment(pods["bootstrap"])["STILLWATCH_NATS__INBOX_PREFIX"] == "_INBOX.bootstrap"
    assert "STILLWATCH_NATS__INBOX_PREFIX" not in environment(pods["worker"])


def test_the_network_policy_names_who_may_come_in() -> None:
    policy = one("NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    for rule in policy["ingress"]:
        assert rule["from"], "an empty list of peers means everybody"
    open_ports = {port["port"] for rule in policy["ingress"][1:] for port in rule["ports"]}
    assert open_ports == {8000, 8265}
    dashboard = [rule for rule in policy["ingress"][1:] if {"port": 8265, "protocol": "TCP"} in rule["ports"]]
    assert [rule["from"][0]["podSelector"]["matchLabels"] for rule in dashboard] == [
        {"app.kubernetes.io/name": "kuberay-operator"}
    ]


def test_an_empty_list_of_callers_lets_nobody_call() -> None:
    policy = one("NetworkPolicy", {"networkPolicy": {"apiFrom": [], "operatorFrom": []}, "tests": {"enabled": False}})
    [between_nodes] = policy["spec"]["ingress"]
    assert "ports" not in between_nodes
    assert between_nodes["from"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/instance"] == "sw"


@pytest.mark.parametrize(
    ("case", "ports"), [("default", {4222}), ("production", {4222, 4318}), ("external-nats", {4222, 5222})]
)
def test_pods_may_reach_nats_and_the_collector_on_the_ports_of_their_urls(case: str, ports: set[int]) -> None:
    rules = one("NetworkPolicy", case_values(case))["spec"]["egress"]
    tcp = {port["port"] for rule in rules for port in rule.get("ports", []) if port["protocol"] == "TCP"}
    assert tcp == {53, *ports}
    to_nodes = [rule for rule in rules if "ports" not in rule]
    assert len(to_nodes) == 1
    assert to_nodes[0]["to"]


@pytest.mark.parametrize(
    ("endpoint", "port"),
    [("http://collector", 80), ("https://collector/path", 443), ("http://collector:4318/v1", 4318)],
)
def test_the_port_of_the_collector_is_found_in_any_url(endpoint: str, port: int) -> None:
    rules = one("NetworkPolicy", {"otel": {"endpoint": endpoint}})["spec"]["egress"]
    assert {"port": port, "protocol": "TCP"} in rules[-1]["ports"]


def test_a_drain_takes_one_worker_at_a_time() -> None:
    budget = one("PodDisruptionBudget", case_values("production"), "sw-stillwatch-workers")["spec"]
    # Pods of a RayCluster have no scale subresource: only a whole number of minAvailable is honoured there.
    assert budget["minAvailable"] == 3
    assert "maxUnavailable" not in budget
    labels = ray_pods(case_values("production"))["worker"]["metadata"]["labels"]
    assert budget["selector"]["matchLabels"].items() <= labels.items()
    assert not [thing for thing in objects(case_values("minimal")) if thing["kind"] == "PodDisruptionBudget"]


def test_streams_are_made_before_anything_else_and_need_nothing_that_does_not_exist_yet() -> None:
    hooked = [thing for thing in objects() if "helm.sh/hook" in thing["metadata"].get("annotations", {})]
    before = {thing["kind"]: thing for thing in hooked if thing["metadata"]["name"] == "sw-stillwatch-bootstrap"}
    assert set(before) == {"Job", "ConfigMap", "NetworkPolicy"}
    for thing in before.values():
        assert thing["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    weight = {kind: int(thing["metadata"]["annotations"]["helm.sh/hook-weight"]) for kind, thing in before.items()}
    assert max(weight["ConfigMap"], weight["NetworkPolicy"]) < weight["Job"]
    pod = before["Job"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["command"] + pod["containers"][0]["args"] == [
        "python",
        "-m",
        "launch",
        "streams",
        "ensure",
    ]
    assert pod["serviceAccountName"] == "default"
    assert pod["volumes"][0]["configMap"]["name"] == "sw-stillwatch-bootstrap"
    assert before["ConfigMap"]["data"] == one("ConfigMap")["data"]


def test_a_new_chart_version_alone_starts_no_new_ray_cluster() -> None:
    for template in ray_pods().values():
        labels = template["metadata"]["labels"]
        assert not {"helm.sh/chart", "app.kubernetes.io/version"} & set(labels)


def test_metrics_are_asked_for_with_a_key_when_there_is_one() -> None:
    ray, api = one("PodMonitor", case_values("production"))["spec"]["podMetricsEndpoints"]
    assert (ray["port"], "authorization" in ray) == ("metrics", False)
    assert (api["port"], api["path"]) == ("serve", "/metrics")
    assert api["authorization"]["credentials"] == {"name": "stillwatch-metrics-key", "key": "key"}


def test_the_notes_say_what_is_open_and_that_it_only_watches() -> None:
    notes = rendered()["NOTES.txt"]
    assert "SHADOW MODE" in notes
    assert "service/sw-stillwatch-serve-svc 8000:8000" in notes
    assert "NATS is used without a login" in notes
    assert "There are no API keys" in notes
    secured = rendered(case_values("production"))["NOTES.txt"]
    assert "ENFORCING" in secured
    assert "kill switch" in secured
    assert "without a login" not in secured
    assert "plain HTTP" in secured
    exposed = rendered({"ray": {"auth": {"enabled": False}}, "networkPolicy": {"enabled": False}})["NOTES.txt"]
    assert "Ray has no token" in exposed
    assert "There is no NetworkPolicy" in exposed


def _leaves(node: object, path: str = "") -> Iterator[str]:
    if not isinstance(node, dict) or not node:
        yield path.removesuffix(".")
        return
    for key, value in node.items():
        yield from _leaves(value, f"{path}{key}.")
