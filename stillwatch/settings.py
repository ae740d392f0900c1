"""The configuration: frozen, checked when made, read from nothing.

``launch.settings`` fills these from ``configs/*.yaml`` and the environment; nothing else reads either. Every key has
its unit in its name; the comments in ``configs/default.yaml`` are for operators, the reasons here for engineers.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stillwatch.verdict import Action, Mode


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


# Answers come to inboxes under it. Tokens without wildcards: a user whose permissions name its prefix hears no other's.
InboxPrefix = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$", max_length=64)]


class NatsLogin(_Frozen):
    """A login of its own for the API: whoever serves HTTP needs other rights than a shard."""

    urls: tuple[str, ...] = ()  # empty: the servers of `nats.urls`, which then hold no password
    credentials_file: str | None = None
    inbox_prefix: InboxPrefix = "_INBOX.api"


class NatsSettings(_Frozen):
    # Empty means: start the nats-server that comes with the package, with its store under `data_dir`.
    urls: tuple[str, ...] = ()
    credentials_file: str | None = None
    inbox_prefix: InboxPrefix = "_INBOX.scorer"
    api: NatsLogin | None = None  # none: the API uses the login of shards and aggregator
    tls_ca_file: str | None = None
    # Shown to a server that asks its clients for a certificate. Both or none.
    tls_cert_file: str | None = None
    tls_key_file: str | None = None
    replicas: Annotated[int, Field(ge=1, le=5)] = 1
    # Replay rebuilds all state, so what the stream forgets, the shards forget after a crash.
    requests_max_age_s: Annotated[int, Field(ge=3600)] = 14 * 24 * 3600
    requests_max_bytes: Annotated[int, Field(ge=1_000_000)] = 8_000_000_000
    # Ids are held in the server's RAM: at 1,000/s and 60 s that is 60,000. Beyond it the shards' own memory counts.
    duplicate_window_s: Annotated[int, Field(ge=1, le=600)] = 60

    @model_validator(mode="after")
    def _a_certificate_has_its_key(self) -> NatsSettings:
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_cert_file and tls_key_file belong together: name both, or neither")
        return self

    def of_api(self) -> NatsSettings:
        """As the API connects.

        >>> NatsSettings(urls=("nats://scorer:s@n",), api=NatsLogin(urls=("nats://api:a@n",))).of_api().inbox_prefix
        '_INBOX.api'
        """
        if self.api is None:
            return self
        login = {"credentials_file": self.api.credentials_file, "inbox_prefix": self.api.inbox_prefix, "api": None}
        return self.model_copy(update={**login, "urls": self.api.urls or self.urls})


class IngestSettings(_Frozen):
    batch_messages: Annotated[int, Field(ge=1, le=5_000)] = 500
    fetch_timeout_s: Annotated[float, Field(gt=0, le=30)] = 1.0
    # A lease older than this may be taken over. Three renewals may fail before that.
    lease_ttl_s: Annotated[float, Field(ge=1, le=60)] = 6.0
    summary_period_s: Annotated[float, Field(gt=0, le=3600)] = 2.0
    # A partition whose stream is empty for so long closes ticks that others have passed. Gateways report within a second
    # or two; what comes later than this counts at the next tick.
    silence_s: Annotated[float, Field(gt=0, le=600)] = 5.0
    # A partition that does not reach a tick within this is left behind: no shard owns it, or it rebuilds its state.
    tick_patience_s: Annotated[float, Field(gt=0, le=3600)] = 30.0
    # Ids remembered per partition for deduplication, on top of the stream's window.
    dedup_ids: Annotated[int, Field(ge=0, le=10_000_000)] = 32_768
    max_accounts_per_partition: Annotated[int, Field(ge=1)] = 131_072
    # Of these, the ones kept as objects (about 5 KiB each); the others are kept packed, in up to 1 KiB.
    max_busy_accounts_per_partition: Annotated[int, Field(ge=1)] = 2_048


class DetectionSettings(_Frozen):
    """Numbers of the statistics. Their reasons stand beside their use in ``signals`` and ``correlate``."""

    seed: int = 7
    # Accounts are judged by the current era and the one before it.
    era_days: Annotated[int, Field(ge=1, le=365)] = 14
    min_events_for_opinion: Annotated[int, Field(ge=2)] = 12
    min_group_accounts: Annotated[int, Field(ge=3)] = 8
    max_group_accounts: Annotated[int, Field(ge=3)] = 10_000
    min_group_conversations: Annotated[int, Field(ge=10)] = 240
    # Groups proposed by topics alone; 0: none. They found no campaign that hand-offs did not find as early, and each is a test
    # more (docs/adr/0017). With 16 they learn from each other what is normal; fewer than 10 can not.
    mixture_groups: Annotated[int, Field(ge=0, le=200)] = 0
    # Candidates for membership that share nothing with a campaign, for each member that is sure; 0: by linkage alone. Twice
    # as many hold most of a relay's unlinked accounts, and each one more makes all of these candidates less sure.
    near_accounts_per_member: Annotated[float, Field(ge=0, le=20)] = 0.0
    # Of the evidence beside content, the part that topics in lockstep have (docs/adr/0023). 0: the finding is shown and lends
    # nothing. It is weighed in advance, so what it is given here is taken from the others, found or not.
    lockstep_weight: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    null_sets: Annotated[int, Field(ge=20, le=10_000)] = 200
    min_null_accounts: Annotated[int, Field(ge=10)] = 40
    false_discovery_level: Annotated[float, Field(gt=0, lt=1)] = 0.05
    max_accounts: Annotated[int, Field(ge=100)] = 1_000_000
    # Groups that one evaluation tests; the others wait their turn. At some 5 ms each (docs/adr/0012) this takes a ninth of a
    # tick. A new life that finds all groups of a million accounts due has them tested in three; with 300,000 it is not reached.
    max_tests_per_evaluation: Annotated[int, Field(ge=1)] = 20_000
    max_campaigns: Annotated[int, Field(ge=1)] = 1_000
    # Event time between evaluations. A beginner's campaign sends a per cent of its week in 100 minutes; an evaluation of
    # 100,000 accounts takes seconds, and every evaluation is one more look at everybody.
    evaluation_tick_s: Annotated[int, Field(ge=1, le=30 * 24 * 3600)] = 900


# Only signatures that a public key checks: with HS256 whoever can check a token could also make one.
JwtAlgorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]  # fmt: skip


class OidcSettings(_Frozen):
    """Tokens of an OpenID provider beside API keys."""

    # As it stands in the tokens. Its document `/.well-known/openid-configuration` says where the keys are.
    issuer: Annotated[str, Field(pattern=r"^https?://[^\s?#]+$", max_length=500)]
    # Tokens made for other services must not open this one.
    audience: Annotated[str, Field(min_length=1, max_length=500)]
    jwks_url: Annotated[str, Field(pattern=r"^https?://\S+$", max_length=500)] | None = (
        None  # none: from the issuer's document
    )
    algorithms: Annotated[tuple[JwtAlgorithm, ...], Field(min_length=1)] = ("RS256", "ES256")
    # Where a token says what it allows: words with spaces between (RFC 8693), or a list, as of roles or groups.
    scopes_claim: Annotated[str, Field(min_length=1, max_length=100)] = "scope"
    # Word of the claim to scopes of ours. Empty: our own scopes are the words; all others mean nothing here.
    scopes: dict[str, tuple[str, ...]] = {}
    # Who agrees when a token does: the same as the `owner` of that person's API keys. One that its holder can not choose.
    person_claim: Annotated[str, Field(min_length=1, max_length=100)] = "sub"
    leeway_s: Annotated[int, Field(ge=0, le=300)] = 30  # by how much clocks may differ
    ca_file: str | None = None  # of the provider's certificate, when the machine does not know it


class ServeSettings(_Frozen):
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    replicas: Annotated[int, Field(ge=1)] = 1
    # Ray's HAProxy ingress carries four times the requests of its Python proxy where the platform has it (Linux).
    haproxy: bool = True
    max_ongoing_requests: Annotated[int, Field(ge=1)] = 200
    max_body_bytes: Annotated[int, Field(ge=1_024)] = 4_194_304
    max_events_per_request: Annotated[int, Field(ge=1)] = 1_000
    # A file of named, hashed keys with scopes (see docs/api.md). Without one, nothing that needs a key is allowed.
    api_keys_file: str | None = None
    oidc: OidcSettings | None = None
    # TLS by the API itself, with PEM files. Only without HAProxy, which ends none; and none for the head's own probes.
    tls_cert_file: str | None = None
    tls_key_file: str | None = None
    # Metrics name no account, but they tell an attacker what is noticed: open only where the network is closed.
    open_metrics: bool = False
    # Gateways ask /authz for every request. A key there guards against probing for who is revoked.
    authz_needs_key: bool = False

    @model_validator(mode="after")
    def _tls_is_whole(self) -> ServeSettings:
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_cert_file and tls_key_file belong together: name both, or neither")
        if self.tls_cert_file is not None and self.haproxy:
            raise ValueError("HAProxy ends no TLS: set haproxy: false, or let a gateway in front of it do TLS")
        return self


class ExchangeSettings(_Frozen):
    # How this platform is named in the indicators that it gives out; none: the deployment's name.
    issuer: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] | None = None
    # Lines of a name and a key in hexadecimal, each shared with other platforms (docs/indicators.md). With one, only signed
    # indicators are taken.
    keys_file: str | None = None


class SnapshotSettings(_Frozen):
    """Where the state is kept, so that a start replays minutes of the stream and not weeks (docs/adr/0018)."""

    store: Literal["none", "directory", "jetstream", "s3"] = "jetstream"
    # Between two of a partition that has read something new. What came since is replayed at a start.
    period_s: Annotated[float, Field(gt=0, le=24 * 3600)] = 60.0
    # The newest can be torn by a power failure; then the one before it counts.
    keep: Annotated[int, Field(ge=2, le=100)] = 3
    directory: str | None = None  # none: `snapshots` under data_dir. Every node must see the same one
    # Of the object store's stream. A server that sets limits reserves it.
    jetstream_max_bytes: Annotated[int, Field(ge=1_000_000)] = 8_000_000_000
    s3_url: Annotated[str, Field(pattern=r"^s3://[^/]+(/.*)?$")] | None = None
    s3_endpoint: Annotated[str, Field(pattern=r"^https?://")] | None = None  # none: Amazon's
    s3_region: str | None = None
    # At least 32 bytes in hexadecimal; whoever has it can make snapshots that are opened. None: made in data_dir.
    key_file: str | None = None

    @model_validator(mode="after")
    def _s3_has_a_place(self) -> SnapshotSettings:
        if self.store == "s3" and self.s3_url is None:
            raise ValueError("store: s3 needs s3_url, such as s3://bucket/prefix")
        return self


class TelemetrySettings(_Frozen):
    otlp_endpoint: str | None = None  # http(s)://collector:4318 ; none = no export
    sampling_ratio: Annotated[float, Field(ge=0, le=1)] = 0.01
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


class Settings(_Frozen):
    deployment: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")] = "stillwatch"
    # Fixed for ever when the streams are made: partitions move between shards, accounts never between partitions.
    partitions: Annotated[int, Field(ge=1, le=1_024)] = 16
    shards: Annotated[int, Field(ge=1, le=256)] = 2
    data_dir: str = ".stillwatch"
    policy_file: str = "configs/policies/default.yaml"
    nats: NatsSettings = NatsSettings()
    ingest: IngestSettings = IngestSettings()
    detection: DetectionSettings = DetectionSettings()
    serve: ServeSettings = ServeSettings()
    exchange: ExchangeSettings = ExchangeSettings()
    snapshots: SnapshotSettings = SnapshotSettings()
    telemetry: TelemetrySettings = TelemetrySettings()

    @model_validator(mode="after")
    def _every_shard_has_work(self) -> Settings:
        if self.shards > self.partitions:
            raise ValueError(
                f"{self.shards} shards for {self.partitions} partitions: use at most one shard a partition"
            )
        return self

    def config_sha256(self, policy: Policy) -> str:
        """What decides, as one hash: the detection numbers and the policy. Stands in every verdict."""
        both = self.detection.model_dump_json() + policy.model_dump_json()
        return hashlib.sha256(both.encode()).hexdigest()

    def state_sha256(self) -> str:
        """What a partition's state follows from, besides the stream: its snapshots are of no use under other numbers."""
        parts = self.detection.model_dump_json() + f"{self.partitions} {self.ingest.dedup_ids}"
        return hashlib.sha256(parts.encode()).hexdigest()


class PolicyRule(_Frozen):
    """First match wins. A rule holds for accounts or for campaigns; thresholds that do not apply are left out."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,60}$")]
    kind: Literal["account", "campaign"]
    action: Action
    ttl_s: Annotated[int, Field(ge=60, le=90 * 24 * 3600)]
    min_score: Annotated[float, Field(ge=0, le=1)] | None = None
    min_e_value: Annotated[float, Field(ge=1)] | None = None
    min_member_confidence: Annotated[float, Field(ge=0, le=1)] = 0.99
    # Organisations verified at least this well are not touched by this rule (a later, milder one can be).
    below_verification: Literal["email", "payment", "business", "contract"] | None = None

    @model_validator(mode="after")
    def _thresholds_fit_kind(self) -> PolicyRule:
        wanted = "min_score" if self.kind == "account" else "min_e_value"
        if getattr(self, wanted) is None:
            raise ValueError(f"rule {self.name}: a rule for a {self.kind} needs {wanted}")
        return self


class PolicyLimits(_Frozen):
    """Blast radius, and how old what is known may be: beyond these an automatic action waits for people and says so."""

    max_accounts_per_minute: Annotated[int, Field(ge=1)] = 1_000
    max_share_of_active_accounts: Annotated[float, Field(gt=0, le=1)] = 0.25
    # Of an organisation's active accounts. Smaller ones are not looked at: one of two keys is half of them.
    max_share_of_organisation: Annotated[float, Field(gt=0, le=1)] = 0.5
    min_organisation_accounts: Annotated[int, Field(ge=2)] = 4
    # A verdict about more accounts waits for people, whatever else there is room for. None: no limit of its own.
    max_accounts_per_verdict: Annotated[int, Field(ge=1)] | None = None
    # What a verdict beyond a limit does: all of it waits, or the surest members that fit go ahead and the rest waits.
    beyond: Literal["wait", "partly"] = "wait"
    # Event time of the evaluation against the clock. A tick is 900 s, a partition is waited for half a minute; eight ticks are
    # a replay, not a delay. None: old traffic is played on purpose.
    max_lag_s: Annotated[int, Field(ge=60)] | None = 7_200
    max_partitions_behind: Annotated[int, Field(ge=0)] = 0
    # Between this machine, the broker and the events. TTLs are minutes at least, and synchronised clocks differ by milliseconds.
    max_clock_error_s: Annotated[int, Field(ge=1)] = 120


class ApprovalRules(_Frozen):
    """Who must agree before something large is done (docs/safety.md)."""

    # Different people, the one who proposes among them; 1: nobody else is asked.
    people: Annotated[int, Field(ge=1, le=5)] = 2
    # A person's action on a campaign waits when it covers more accounts.
    above_accounts: Annotated[int, Field(ge=0)] = 100
    # One on an organisation always does: it covers accounts that nobody has counted, and those that come later.
    organisations: bool = True
    # Unanswered for so long, it lapses and acts on nobody.
    expires_s: Annotated[int, Field(ge=60, le=14 * 24 * 3600)] = 24 * 3600


class Policy(_Frozen):
    """``configs/policies/*.yaml``: which verdict leads to which action. Versioned; the version stands in verdicts."""

    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,40}$")]
    mode: Mode = "shadow"
    rules: tuple[PolicyRule, ...]
    limits: PolicyLimits = PolicyLimits()
    approval: ApprovalRules = ApprovalRules()
    never_act: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _names_are_unique(self) -> Policy:
        names = [rule.name for rule in self.rules]
        if len(set(names)) != len(names):
            raise ValueError("rule names must be unique: a verdict names its rule")
        return self
