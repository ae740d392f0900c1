"""How a campaign gets its accounts: batches or a trickle of sign-ups, what they share, and who replaces the banned.

A *place* of the relay holds one account after the other: its working hours and its cover person stay, the account, the
sign-up and, where nothing is shared, the card and the address are new. Accounts are named by place and generation, so
that every account that can ever exist is known beforehand.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from stillwatch.simulator.conversation import World
from stillwatch.simulator.identity import ASSISTANT_PROMPT, DAY_S, Client, Habits, Identity, Tier, quickstart
from stillwatch.simulator.population import individual, signed_up
from stillwatch.simulator.seeds import pick_weighted

if TYPE_CHECKING:
    from stillwatch.simulator.relay import Campaign

_TIERS: Final[tuple[Tier, ...]] = ("free", "plus", "developer")
_TIER_SHARES: Final = (0.1, 0.55, 0.35)
# A popular client, by its place in the market's list: the Python SDK.
_POPULAR_CLIENT: Final = 5
# A relay that loses an account gets another; one place is not filled more often than this.
MAX_GENERATIONS: Final = 12
# Siblings behind one proxy, where a campaign has proxies of its own.
_ACCOUNTS_PER_PROXY: Final = 8
_RESERVE_SPREAD_DAYS: Final = 1.2


class Registration:
    """Makes the identities of one campaign. What it shares is drawn once; the same draws give the same accounts."""

    def __init__(self, campaign: Campaign, world: World) -> None:
        self._campaign, self._world = campaign, world
        self._rng = rng = campaign.stream(world, "registration")
        market = world.market
        self._families = market.middling_payments(rng, campaign.payment_families)
        self._promotions = market.middling_promotions(rng, campaign.cohorts)
        client = market.clients[_POPULAR_CLIENT]
        if campaign.client == "own":
            ja4 = f"t13d1715h2_{market.token('ja4', campaign.name)[:12]}_02713d6af862"
            client = Client("sdk", client.user_agent, ja4)
        self._client: Client = client
        self._sent: Habits = quickstart()
        self._system = rng.choice((None, ASSISTANT_PROMPT))

    def first(self) -> list[Identity]:
        """The first account of every place, in the order of registration."""
        return [self._sign_up(self._rng, place) for place in range(self._campaign.accounts)]

    def replacement(self, place: int, generation: int, created_unix_s: int) -> Identity:
        rng = self._campaign.stream(self._world, "replacement", place, generation)
        return self._identity(rng, place, f"{place}.{generation}", created_unix_s)

    def replacement_account(self, place: int, generation: int) -> str:
        """Its token, known before it exists."""
        return self._world.market.token("account", self._campaign.name, f"{place}.{generation}")

    def _sign_up(self, rng: random.Random, place: int) -> Identity:
        campaign = self._campaign
        if campaign.linked == "none":
            # As anybody's accounts, at any time of the last years; but the relay needs them from the first day on.
            return self._identity(rng, place, place, signed_up(self._world, rng))
        if campaign.staggered:
            started = -campaign.signup_days_before + campaign.signup_span_days * rng.random()
            return self._identity(rng, place, place, self._world.start_unix_s + int(started * DAY_S))
        step = self._cohort(place) / max(1, campaign.cohorts - 1)
        started = -campaign.signup_days_before + campaign.signup_span_days * step
        # One registration after the other, over a day or two.
        created = self._world.start_unix_s + int((started + rng.expovariate(1.0 / _RESERVE_SPREAD_DAYS)) * DAY_S)
        return self._identity(rng, place, place, created)

    def _cohort(self, place: int) -> int:
        return place * self._campaign.cohorts // self._campaign.accounts

    def _identity(self, rng: random.Random, place: int, number: int | str, created: int) -> Identity:
        campaign, world = self._campaign, self._world
        tier = _TIERS[pick_weighted(rng, _TIER_SHARES)]
        person = individual(world, rng, campaign.name, number, campaign.label, tier, created)
        pivot_s = None
        if campaign.pivot_within_h is not None:
            pivot_s = campaign.stream(world, "pivot", place).random() * campaign.pivot_within_h * 3_600.0
        if campaign.linked == "none":
            return replace(person, adopts_after_s=pivot_s)
        if campaign.linked == "weak":
            return replace(self._weakly_linked(rng, person, place), adopts_after_s=pivot_s)
        linked_payment, linked_signup = rng.random() < campaign.linked_share, rng.random() < campaign.linked_share
        return replace(
            person,
            payment=rng.choice(self._families) if linked_payment and tier != "free" else person.payment,
            signup=self._promotions[self._cohort(place)] if linked_signup else person.signup,
            asn=world.market.access_asn(rng),
            address=self._address(person, place),
            client=self._client,
            habits=self._sent,
            system=self._system,
            adopts_after_s=pivot_s,
        )

    def _weakly_linked(self, rng: random.Random, person: Identity, place: int) -> Identity:
        """One thing in common with some of the siblings, and another one with others."""
        person = replace(person, address=self._address(person, place), asn=self._world.market.access_asn(rng))
        shares = rng.choice(("payment", "signup", "client"))
        if shares == "payment" and person.tier != "free":
            return replace(person, payment=rng.choice(self._families))
        if shares == "client":
            return replace(person, client=self._client, habits=self._sent, system=self._system)
        return replace(person, signup=self._promotions[self._cohort(place)])

    def _address(self, person: Identity, place: int) -> str:
        """Residential proxies give each account a home of its own; else some accounts are behind one proxy."""
        if self._campaign.addresses == "residential":
            return person.address
        return self._world.market.token("address", "proxy", self._campaign.name, place // _ACCOUNTS_PER_PROXY)
