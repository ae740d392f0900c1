"""Renders the chart with the real Helm engine. Where its wheel does not exist (it is made for Linux), tests are skipped."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

helm = pytest.importorskip("helm_python", reason="the Helm engine (helm-python-sdk) has no wheel for this platform")

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "stillwatch"
CASES = ["default", *sorted(path.stem.removesuffix("-values") for path in (CHART / "ci").glob("*-values.yaml"))]

Object = dict[str, Any]


def case_values(case: str) -> Object:
    """The values of ``ci/<case>-values.yaml``; none for ``default``."""
    return {} if case == "default" else yaml.safe_load((CHART / "ci" / f"{case}-values.yaml").read_text())


def rendered(values: Object | None = None) -> dict[str, str]:
    """Template name to text, as ``helm template sw helm/stillwatch --namespace trust`` would print it."""
    return _rendered(json.dumps(values or {}))


@cache
def _rendered(values: str) -> dict[str, str]:
    with helm.Chart.load(CHART) as chart:
        texts = chart.render(json.loads(values), name="sw", namespace="trust")
    return {name.removeprefix("stillwatch/templates/"): text for name, text in texts.items()}


def objects(values: Object | None = None) -> list[Object]:
    """Not to be changed: they are parsed once."""
    return _objects(json.dumps(values or {}))


@cache
def _objects(values: str) -> list[Object]:
    texts = [text for name, text in sorted(_rendered(values).items()) if name.endswith(".yaml")]
    return [found for text in texts for found in yaml.safe_load_all(text) if found]


def one(kind: str, values: Object | None = None, name: str = "sw-stillwatch") -> Object:
    found = [thing for thing in objects(values) if thing["kind"] == kind and thing["metadata"]["name"] == name]
    assert len(found) == 1, f"{len(found)} objects {kind} {name}"
    return found[0]


def ray_pods(values: Object | None = None) -> dict[str, Object]:
    """The pod templates of the RayService, by group."""
    cluster = one("RayService", values)["spec"]["rayClusterConfig"]
    return {"head": cluster["headGroupSpec"]["template"], "worker": cluster["workerGroupSpecs"][0]["template"]}


def pod_specs(values: Object | None = None) -> dict[str, Object]:
    """Every pod that the chart starts, by any way."""
    found = {group: template["spec"] for group, template in ray_pods(values).items()}
    for thing in objects(values):
        if thing["kind"] == "Job":
            found["bootstrap"] = thing["spec"]["template"]["spec"]
        if thing["kind"] == "Pod":
            found["test"] = thing["spec"]
    return found


def environment(pod: Object) -> Object:
    """Name to value, or to where the value comes from."""
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in pod["containers"][0]["env"]}
