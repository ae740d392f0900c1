"""Keeps the chart in step with the code: `python helm/generate.py`, or `--check` to be told what is stale.

Three things of the chart have their source elsewhere: its default policy (`configs/policies/default.yaml`), the parts
of the values' schema that mirror the settings and the policy (`stillwatch/settings.py`), and the table of values in
its README (`values.yaml`). Written twice by hand they would drift; a test runs `--check`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel

ROOT: Final = Path(__file__).resolve().parent.parent
CHART: Final = ROOT / "helm" / "stillwatch"
sys.path.insert(0, str(ROOT))

from stillwatch.settings import Policy, Settings

# What the chart fills in itself, from values of its own: not to be set twice.
OWNED: Final = {
    "": {"deployment", "partitions", "shards", "data_dir", "policy_file"},
    "nats": {"urls", "credentials_file", "api", "tls_ca_file", "tls_cert_file", "tls_key_file"},
    "serve": {"host", "port", "replicas", "haproxy", "api_keys_file", "tls_cert_file", "tls_key_file"},
    "snapshots": {"key_file"},
    "telemetry": {"otlp_endpoint"},
}
MARK: Final = "<!-- values -->"


def partial_schema(model: type[BaseModel], owned: set[str]) -> dict[str, Any]:
    """The schema of a part of the settings of which every key may be left out."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})
    properties = {key: _plain(value, definitions) for key, value in schema["properties"].items() if key not in owned}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def settings_schema() -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            properties[name] = partial_schema(field.annotation, OWNED.get(name, set()))
    top = partial_schema(Settings, OWNED[""])
    return {**top, "properties": {**top["properties"], **properties}}


def values_schema() -> str:
    schema = json.loads((CHART / "values.schema.json").read_text())
    schema["properties"]["settings"] = settings_schema()
    schema["properties"]["policy"] = partial_schema(Policy, set())
    return json.dumps(schema, indent=2) + "\n"


def readme() -> str:
    text = (CHART / "values.yaml").read_text()
    rows = ["| Key | Default | |", "|---|---|---|"]
    rows += [f"| `{key}` | `{default}` | {about} |" for key, default, about in documented(text)]
    before, _, after = (CHART / "README.md").read_text().partition(MARK)
    after = after.partition(MARK)[2]
    return f"{before}{MARK}\n" + "\n".join(rows) + f"\n{MARK}{after}"


def documented(text: str) -> list[tuple[str, str, str]]:
    """Key, default and description of every value that has a comment which begins with `# --`."""
    lines = text.splitlines()
    found = []

    def walk(node: yaml.Node | None, path: str) -> None:
        if not isinstance(node, yaml.MappingNode):
            return
        for key, value in node.value:
            name = f"{path}{key.value}"
            about = _comment_above(lines, key.start_mark.line)
            if about:
                default = json.dumps(yaml.safe_load(yaml.serialize(value)))
                found.append((name, default.replace("|", "\\|"), about.replace("|", "\\|")))
            walk(value, f"{name}.")

    walk(yaml.compose(text), "")
    return found


def _comment_above(lines: list[str], line: int) -> str:
    block: list[str] = []
    while line > 0 and lines[line - 1].lstrip().startswith("#"):
        line -= 1
        block.insert(0, lines[line].lstrip().removeprefix("#").strip())
    starts = [index for index, text in enumerate(block) if text.startswith("-- ")]
    return " ".join(block[starts[-1] :]).removeprefix("-- ") if starts else ""


def _plain(schema: Any, definitions: dict[str, Any]) -> Any:
    """Without titles, defaults and references: the defaults live in the code, and Helm shows paths, not names."""
    if isinstance(schema, list):
        return [_plain(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _plain(definitions[schema["$ref"].removeprefix("#/$defs/")], definitions)
    kept = {key: value for key, value in schema.items() if key not in {"title", "default", "description"}}
    if isinstance(kept.get("properties"), dict):
        kept["properties"] = {key: _plain(value, definitions) for key, value in schema["properties"].items()}
    return {key: value if key == "properties" else _plain(value, definitions) for key, value in kept.items()}


def main() -> int:
    wanted = {
        CHART / "files" / "policy.yaml": (ROOT / "configs" / "policies" / "default.yaml").read_text(),
        CHART / "values.schema.json": values_schema(),
        CHART / "README.md": readme(),
    }
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            sys.stderr.write(f"{path.relative_to(ROOT)} is stale: run python helm/generate.py\n")
        return 1 if stale else 0
    for path in stale:
        path.write_text(wanted[path])
        sys.stdout.write(f"wrote {path.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
