from pathlib import Path

import pytest

from launch.settings import load_policy, load_settings
from stillwatch.errors import SettingsError
from stillwatch.settings import Settings


def test_the_default_file_says_what_the_code_says() -> None:
    assert load_settings("configs/default.yaml", environment={}) == Settings()


@pytest.mark.parametrize("file", sorted(Path("configs/profiles").glob("*.yaml")), ids=lambda path: path.name)
def test_every_profile_loads_with_its_policy(file: Path) -> None:
    load_policy(load_settings(str(file), environment={}).policy_file)


@pytest.mark.parametrize("file", sorted(Path("configs/policies").glob("*.yaml")), ids=lambda path: path.name)
def test_every_policy_is_valid(file: Path) -> None:
    assert load_policy(str(file)).rules


def test_the_environment_wins_over_the_file_and_an_override_over_both() -> None:
    environment = {"STILLWATCH_SHARDS": "4", "STILLWATCH_NATS__URLS": "[nats://n:4222]", "HOME": "/"}
    settings = load_settings("configs/default.yaml", {"serve": {"port": 9}}, environment)
    assert (settings.shards, settings.nats.urls, settings.serve.port) == (4, ("nats://n:4222",), 9)
    assert load_settings(None, {"shards": 3}, environment).shards == 3


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        ({"partition": 3}, "partition"),
        ({"nats": {"replicas": "many"}}, "nats.replicas"),
        ({"shards": 8, "partitions": 4}, "Settings"),
    ],
)
def test_a_mistake_is_named_with_its_key(overrides: dict[str, object], key: str) -> None:
    with pytest.raises(SettingsError) as error:
        load_settings(None, overrides, {})
    assert error.value.key == key


def test_a_missing_file_is_said_so() -> None:
    with pytest.raises(SettingsError, match="no such file"):
        load_settings("configs/nothing.yaml", environment={})


def test_the_config_hash_changes_with_the_policy_and_the_detection_only() -> None:
    policy = load_policy("configs/policies/default.yaml")
    base = Settings().config_sha256(policy)
    assert Settings(shards=3).config_sha256(policy) == base
    assert Settings().config_sha256(policy.model_copy(update={"version": "2"})) != base
