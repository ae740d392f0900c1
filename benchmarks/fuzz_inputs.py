"""Inputs that are nearly right: valid messages with bytes flipped, cut, repeated and spliced; maps with wrong values."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Final

import msgpack

from stillwatch.partition import partition_of
from stillwatch.subjects import envelope_subject, label_subject, request_subject

_NAMES: Final = (
    "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "gen_ai.request.temperature", "gen_ai.request.stream",
    "gen_ai.response.finish_reasons", "gen_ai.conversation.id", "stillwatch.prompt.text", "stillwatch.system.text",
    "stillwatch.prompt.turn", "stillwatch.org.id", "stillwatch.org.verification", "stillwatch.client.asn", "client.address",
    "stillwatch.fp.version", "stillwatch.fp.data", "gen_ai.request.model", "http.response.status_code", "error.type",
    "stillwatch.account.created_unix", "something.else",
)  # fmt: skip
_ODD: Final[tuple[Any, ...]] = (
    None, True, 0, -1, 1, 2**63, 2**64 - 1, -(2**63), 0.0, -0.0, 1e308, float("inf"), float("nan"), "", "0", "\x00", "é" * 50,
    "x" * 70_000, b"", b"\x00" * 16, [], {}, [[]], ["stop"] * 65, ["stop"], {"a": {"b": []}}, "sw1", "contract", "none", [1.5],
)  # fmt: skip


def odd_map(rng: random.Random, number: int, now_unix_nano: int) -> dict[str, Any]:
    """An event, most of the time with something wrong."""
    account = f"fuzz-{rng.randrange(500)}"
    attributes: dict[Any, Any] = {}
    for _ in range(rng.randrange(8)):
        name = rng.choice(_NAMES)
        attributes[name] = rng.choice(_ODD) if rng.random() < 0.05 else _usual(rng, name)
    event: dict[str, Any] = {
        "v": 1, "id": f"f-{number}-{rng.randrange(1 << 30)}", "account": account, "attributes": attributes,
        "time_unix_nano": now_unix_nano - rng.choice((0, 10**9, 10**12, 10**16, 4 * 10**17, -(10**11), -(10**13), -(10**15))),
    }  # fmt: skip
    if rng.random() < 0.2:
        event[rng.choice(("v", "id", "account", "attributes", "time_unix_nano", "trace_id", "span_id"))] = rng.choice(
            _ODD
        )
    if rng.random() < 0.05:
        event.pop(rng.choice(("v", "id", "account", "time_unix_nano")), None)
    return event


def mutated(rng: random.Random, raw: bytes, other: bytes) -> bytes:
    """Flipped, cut, repeated, spliced."""
    data = bytearray(raw)
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(5):
            case 0 if data:
                data[at % len(data)] ^= 1 << rng.randrange(8)
            case 1:
                del data[at : at + rng.randrange(1, 12)]
            case 2:
                data[at:at] = data[at : at + rng.randrange(1, 40)] * rng.randrange(1, 4)
            case 3:
                data[at:at] = other[: rng.randrange(len(other) + 1)]
            case _:
                data[at:at] = rng.randbytes(rng.randrange(1, 9))
    return bytes(data[:900_000])


def messages(inputs: int, seed: int, partitions: int, now_unix_nano: int) -> Iterator[tuple[str, bytes, int]]:
    """Subject, payload and number. About half of the events can be used."""
    rng = random.Random(seed)
    before = b"\x80"
    for number in range(inputs):
        event = odd_map(rng, number, now_unix_nano)
        kind = rng.random()
        named = event.get("account")
        account = named if isinstance(named, str) and named.startswith("fuzz-") and rng.random() < 0.95 else "fuzz-else"
        subject = request_subject(account)
        if kind < 0.1:
            events = [odd_map(rng, number, now_unix_nano) for _ in range(rng.randrange(6))]
            partition = partition_of(account, partitions) if rng.random() < 0.8 else rng.randrange(partitions)
            subject, payload = envelope_subject(partition), _packed([event, *events])
        elif kind < 0.12:
            label = {
                "v": 1,
                "account": rng.choice((account, 7, "")),
                "kind": rng.choice(("attack", "user", "x", None)),
                "by": "f",
            }
            subject, payload = (
                label_subject(rng.randrange(partitions)),
                _packed({**label, "at_unix_nano": now_unix_nano}),
            )
        else:
            payload = _packed(event)
        before, payload = payload, mutated(rng, payload, before) if rng.random() < 0.3 else payload
        yield subject, payload, number


def _usual(rng: random.Random, name: str) -> Any:
    if name == "gen_ai.request.stream":
        return rng.random() < 0.5
    if name == "gen_ai.response.finish_reasons":
        return [rng.choice(("stop", "length"))]
    if name.endswith(("tokens", "temperature", "turn", "status_code", "created_unix", "asn")):
        return rng.choice((rng.randrange(10_000), rng.random(), 2**62))
    return rng.choice(("tell me about it, step by step, as json", "gpt", "conv-1", "business", "sw1", "é" * 50))


def _packed(value: object) -> bytes:
    return bytes(msgpack.packb(value, use_bin_type=True))
