"""Who an account claims to be: tokens, tier, payment, sign-up, network, client, parameter habits, system prompt.

Everybody, campaigns included, draws from one :class:`Market` of clients, payment families, promotions and networks with
popularity that falls with the rank. So honest people share all of these too, and no value belongs to attackers alone.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from stillwatch.event import AttributeValue
from stillwatch.simulator.seeds import pick_weighted, token, zipf
from stillwatch.simulator.vocabulary import SECTORS
from stillwatch.verdict import AccountKind

DAY_S: Final = 86_400
PROVIDER: Final = "example"
MODELS: Final = ("example-large", "example-small", "example-code")
# Comes out during a scenario that has `release_at_h`.
NEXT_MODEL: Final = "example-large-2"
# Accounts change to a new model after so many days on average: judged, the tail is what matters.
_ADOPTION_MEAN_DAYS: Final = 10.0
ASSISTANT_PROMPT: Final = "You are a helpful assistant."

Tier = Literal["free", "plus", "developer", "business"]
Surface = Literal["chat", "sdk", "tool"]


@dataclass(frozen=True, slots=True)
class Client:
    """A piece of client software. Everybody who uses it has its TLS fingerprint (JA4) and its user agent."""

    surface: Surface
    user_agent: str
    ja4: str


@dataclass(frozen=True, slots=True)
class Habits:
    """Request parameters. ``None``: not sent, which is what most clients do."""

    model: str
    temperatures: tuple[float, ...] = ()  # one of them per conversation; empty: not sent
    top_p: float | None = None
    max_tokens: int | None = None
    stream: bool | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """``kind`` and ``group`` are the truth; nothing in :meth:`attributes` is made from them."""

    account: str
    group: str
    kind: AccountKind
    organisation: str
    verification: str
    tier: Tier
    created_unix_s: int
    payment: str | None
    signup: str
    address: str
    asn: int
    client: Client
    habits: Habits
    system: str | None = None
    frame: str | None = None  # a product's own wording around "{text}"
    # Seconds from a release until this account uses the new model; `None`: at some time, as honest accounts do.
    adopts_after_s: float | None = None
    attributes: Mapping[str, AttributeValue] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known: dict[str, AttributeValue | None] = {
            "stillwatch.org.id": self.organisation,
            "stillwatch.org.verification": self.verification,
            "stillwatch.account.created_unix": self.created_unix_s,
            "stillwatch.account.tier": self.tier,
            "stillwatch.account.payment": self.payment,
            "stillwatch.account.signup": self.signup,
            "client.address": self.address,
            "stillwatch.client.asn": self.asn,
            "user_agent.original": self.client.user_agent,
            "stillwatch.client.ja4": self.client.ja4,
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": PROVIDER,
            "gen_ai.request.model": self.habits.model,
            "gen_ai.response.model": f"{self.habits.model}-2025-02",
            "gen_ai.request.top_p": self.habits.top_p,
            "gen_ai.request.max_tokens": self.habits.max_tokens,
            "gen_ai.request.stream": self.habits.stream,
            "stillwatch.system.text": self.system,
        }
        # The part of every event that does not change, made once per account.
        constant = {name: value for name, value in known.items() if value is not None}
        object.__setattr__(self, "attributes", constant)


# (surface, user agent, share). One TLS stack per row; popular rows are shared by very many.
_CLIENTS: Final[tuple[tuple[Surface, str, float], ...]] = (
    ("chat", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/133.0 Safari/537.36", 0.25),
    ("chat", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.3 Safari/605.1.15", 0.10),
    ("chat", "Mozilla/5.0 (X11; Linux x86_64; rv:135.0) Gecko/20100101 Firefox/135.0", 0.06),
    ("chat", "ExampleChat/4.2 (iOS 18.3)", 0.09),
    ("chat", "ExampleChat/4.2 (Android 15)", 0.07),
    ("sdk", "example-python/1.63.0", 0.17),
    ("sdk", "example-node/4.85.1", 0.08),
    ("sdk", "python-httpx/0.28.1", 0.04),
    ("sdk", "curl/8.12.1", 0.02),
    ("tool", "pairwork-ide/2.9.4", 0.07),
    ("tool", "shellmate-cli/0.31.0", 0.05),
)
# Private-use AS numbers: (access networks of homes and mobiles, data centres).
_ACCESS_ASNS: Final = tuple(range(64_512, 64_536))
_CLOUD_ASNS: Final = tuple(range(65_000, 65_006))
_TOOL_PROMPTS: Final = {
    "pairwork-ide/2.9.4": "You are Pairwork, a coding assistant inside an editor. Answer with minimal diffs.",
    "shellmate-cli/0.31.0": "You are Shellmate. You help people who work in a terminal. Be terse; never guess paths.",
}
_PAYMENT_FAMILIES: Final = 40
_PROMOTIONS: Final = 30
# Honest accounts per shared address: campuses, offices and carrier NAT put many behind few.
_SHARED_ADDRESSES: Final = 12
_SHARED_ADDRESS_RATE: Final = 0.12


def adopts_after_s(identity: Identity) -> float:
    """A function of the account, so that nobody needs to remember it."""
    if identity.adopts_after_s is not None:
        return identity.adopts_after_s
    if identity.habits.model != MODELS[0]:
        return math.inf  # the new one replaces the large one
    share = (int(token(0, "adopts", identity.account, chars=12), 16) + 0.5) / 16**12
    return -math.log(share) * _ADOPTION_MEAN_DAYS * DAY_S


class Market:
    """What there is to share. The same for everybody in one scenario; only the tokens depend on the seed."""

    def __init__(self, seed: int) -> None:
        self.seed: Final = seed
        self.clients: Final = tuple(
            Client(surface, agent, f"t13d1{index:03d}h2_{token(0, 'ja4a', index, chars=12)}_{token(0, 'ja4b', index, chars=12)}")
            for index, (surface, agent, _) in enumerate(_CLIENTS)
        )  # fmt: skip
        self.payments: Final = tuple(self.token("payment", index) for index in range(_PAYMENT_FAMILIES))
        self.promotions: Final = tuple(self.token("signup", "promotion", index) for index in range(_PROMOTIONS))

    def token(self, *path: str | int) -> str:
        return token(self.seed, *path)

    def client(self, rng: random.Random, surface: Surface | None = None) -> Client:
        weights = [share if surface in (None, kind) else 0.0 for kind, _, share in _CLIENTS]
        return self.clients[pick_weighted(rng, weights)]

    def payment(self, rng: random.Random, tier: Tier) -> str | None:
        return None if tier == "free" else self.payments[pick_weighted(rng, _PAYMENT_SHARES)]

    def middling_payments(self, rng: random.Random, count: int) -> list[str]:
        """Families that some per cent of the honest payers have as well: what a campaign gets its cards from."""
        return rng.sample(self.payments[4:24], count)

    def middling_promotions(self, rng: random.Random, count: int) -> list[str]:
        return rng.sample(self.promotions[4:24], count)

    def signup(self, rng: random.Random, created_unix_s: int) -> str:
        """Most people come by themselves (a cohort of the week), the others by a promotion or a referral."""
        if rng.random() < 0.6:
            return self.token("signup", "week", created_unix_s // (7 * DAY_S))
        return self.promotions[pick_weighted(rng, _PROMOTION_SHARES)]

    def address(self, rng: random.Random, name: str) -> str:
        if rng.random() < _SHARED_ADDRESS_RATE:
            return self.token("address", "shared", rng.randrange(_SHARED_ADDRESSES))
        return self.token("address", name)

    def access_asn(self, rng: random.Random) -> int:
        return _ACCESS_ASNS[pick_weighted(rng, _ACCESS_SHARES)]

    def cloud_asn(self, rng: random.Random) -> int:
        return _CLOUD_ASNS[pick_weighted(rng, _CLOUD_SHARES)]


_PAYMENT_SHARES: Final = zipf(_PAYMENT_FAMILIES)
_PROMOTION_SHARES: Final = zipf(_PROMOTIONS)
_ACCESS_SHARES: Final = zipf(len(_ACCESS_ASNS))
_CLOUD_SHARES: Final = zipf(len(_CLOUD_ASNS))


def habits(rng: random.Random, client: Client) -> Habits:
    """What a user of this client sends. Chat clients send nothing; who writes code sets what the examples set."""
    if client.surface == "chat":
        return Habits(MODELS[pick_weighted(rng, (0.6, 0.4, 0.0))], stream=True)
    if client.surface == "tool":
        return Habits(MODELS[pick_weighted(rng, (0.4, 0.0, 0.6))], (0.0,), max_tokens=8_192, stream=True)
    if rng.random() < 0.3:
        return quickstart()
    chosen = rng.choice(((), (), (0.0,), (0.7,), (0.7,), (1.0,), (0.2,), (0.0, 0.7), (0.3, 0.7, 1.0)))
    return Habits(
        MODELS[pick_weighted(rng, (0.55, 0.3, 0.15))],
        chosen,
        top_p=rng.choice((None, None, None, 1.0, 0.95)),
        max_tokens=rng.choice((None, 512, 1_024, 2_048, 4_096, 4_096)),
        stream=rng.choice((None, None, False, True)),
    )


def quickstart() -> Habits:
    """What the first example of the documentation sends, and with it everybody who has copied it."""
    return Habits(MODELS[0], (0.7,), max_tokens=4_096)


def system_prompt(rng: random.Random, client: Client) -> str | None:
    """Tools bring their own. With an SDK the usual sentence, or one's own; in a chat sometimes a custom instruction."""
    if client.surface == "tool":
        return _TOOL_PROMPTS[client.user_agent]
    chance = rng.random()
    if client.surface == "sdk" and chance < 0.7:
        return ASSISTANT_PROMPT if chance < 0.45 else None
    if client.surface == "chat" and chance < 0.85:
        return None
    return own_system_prompt(rng)


def popular_agent(market: Market) -> Client:
    """The agent tool that most people use, and with it very many share one client and one system prompt."""
    return next(client for client in market.clients if client.surface == "tool")


def own_system_prompt(rng: random.Random) -> str:
    """One of some millions: two people seldom have the same."""
    fields = rng.choice(tuple(SECTORS.values()))
    field, other = rng.sample(fields, 2)
    manner = rng.choice(("brief", "thorough", "friendly", "direct", "careful", "formal"))
    rule = rng.choice(
        ("Ask when unsure.", "Give sources.", "No emojis.", "Use metric units.", "Start with the answer.")
    )
    return (
        f"You are {manner} and know {field.name} as an experienced {rng.choice(field.roles)} does. {rule} "
        f"I mostly ask about the {rng.choice(field.things)} and sometimes about {other.name}."
    )


def verification(rng: random.Random, tier: Tier) -> str:
    if tier == "free":
        return "email" if rng.random() < 0.8 else "none"
    return "payment"
