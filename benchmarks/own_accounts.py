"""People who hand failed calls to accounts of their own: `python -m benchmarks.own_accounts [--seeds 4] [--days 4]`.

Hand-offs tell relays, and a person with an account of the own and one of the work, and a program that tries the other, hands over,
too. No scenario has such people, so this command makes them: of the people of a standard scenario some get a second account and
some a third, over which their conversations fall; of their calls a share fails (far more than fail elsewhere) and is tried on the next
of them within seconds, word for word. Every other world has the scenario's campaigns inside. The default policy in enforce mode. Writes its
section of docs/discovery.md.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any, Final

from benchmarks.judging import Job, command, computed, loaded, ours, parser, seeds_of, table, write
from benchmarks.proportions import at_most
from stillwatch.backtest import Backtest, Truth, evaluate
from stillwatch.event import RequestEvent
from stillwatch.simulator import simulate
from stillwatch.simulator.relay import Campaign

SCENARIO: Final = "configs/scenarios/standard-cover50.yaml"
_MEASURED_BY: Final = ("benchmarks.own_accounts",)
_PEOPLE: Final = "user"
_S_NANO: Final = 1_000_000_000
_SLOWEST_S: Final = 20.0  # a program tries the next within seconds
_HEAD: Final = """## People who hand over among accounts of their own

Made by `{command}`. Of the people of {scenario} {second:.0%} have a second account and {third:.0%} of these a third; {failing:.0%} of
their calls fail and are tried on the next account within {slowest:.0f} seconds. The default policy in enforce mode.
"""


class OwnAccounts:
    """Which of ``people`` have more than one account, and what their events become. Every choice is a hash of the seed and a name."""

    def __init__(self, people: Collection[str], second: float, third: float, failing: float, seed: int) -> None:
        self._failing, self._seed = failing, seed
        self.accounts: dict[str, tuple[str, ...]] = {}
        for person in sorted(people):
            if self._draw("second", person) < second:
                more = 3 if self._draw("third", person) < third else 2
                self.accounts[person] = (person, *(f"{person}-{number}" for number in range(2, more + 1)))
        self.handed = 0  # calls that were tried on the next account
        self.pairs = set[tuple[str, str]]()

    def play(self, events: Iterable[RequestEvent]) -> Iterator[RequestEvent]:
        """In order of time, as ``events`` are."""
        later: list[tuple[int, str, RequestEvent]] = []
        for event in events:
            while later and later[0][0] <= event.time_unix_nano:
                yield heapq.heappop(later)[2]
            mine = self.accounts.get(event.account)
            if mine is None:
                yield event
                continue
            at = int(self._draw("whose", event.text("gen_ai.conversation.id") or event.id) * len(mine))
            if self._draw("fails", event.id) >= self._failing:
                yield replace(event, account=mine[at])
                continue
            yield replace(event, account=mine[at], attributes=_failed(event.attributes))
            sibling = mine[(at + 1) % len(mine)]
            when = event.time_unix_nano + int((1 + self._draw("delay", event.id) * (_SLOWEST_S - 1)) * _S_NANO)
            again = replace(event, id=f"{event.id}-again", account=sibling, time_unix_nano=when)
            heapq.heappush(later, (when, again.id, again))
            self.handed += 1
            self.pairs.add((min(mine[at], sibling), max(mine[at], sibling)))
        yield from (event for _, _, event in sorted(later, key=lambda one: one[:2]))

    def _draw(self, what: str, name: str) -> float:
        digest = blake2b(f"{self._seed} {what} {name}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) / 2**64


def _failed(attributes: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in attributes.items() if not name.startswith("gen_ai.response.")}
    kept.pop("gen_ai.usage.output_tokens", None)
    return kept | {"http.response.status_code": 429, "error.type": "rate_limit_exceeded"}


def worlds(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    return [world(job) for job in jobs]


def world(job: Job) -> dict[str, Any]:
    second, third, failing = map(float, job.options.split())
    truth = job.truth()
    people = [account for account, one in truth.items() if one.kind == _PEOPLE and not one.campaign]
    own = OwnAccounts(people, second, third, failing, job.scenario.seed)
    several = {account for accounts in own.accounts.values() for account in accounts}
    truth |= {account: Truth(_PEOPLE, "") for account in several}
    detector = ours(job.file)
    backtest = Backtest(detector, enforce=True)
    for event in own.play(simulate(job.scenario, job.source())):
        backtest.feed(event)
    backtest.finish()
    ledger = backtest.ledger
    honest = {account for account, one in truth.items() if not one.campaign} & ledger.accounts.keys()
    hit = honest & ledger.first_action.keys()
    evaluation = evaluate(ledger, truth)
    return {
        "seed": job.scenario.seed, "days": job.scenario.days,
        "people": len(own.accounts), "accounts": len(several & honest), "others": len(honest - several),
        "handed": own.handed, "pairs": len(own.pairs),
        "acted_on": len(hit & several), "others_acted_on": len(hit - several),
        "revoked": sum(row["revoked"] for row in evaluation["benign"].values()),
        "attackers": sum(row["accounts"] for row in evaluation["attack"].values()),
        "attackers_acted_on": sum(row["acted_on"] for row in evaluation["attack"].values()),
        "campaigns": len(detector.campaigns()),
    }  # fmt: skip


def section(results: Sequence[Mapping[str, Any]], arguments: Any, made_by: str) -> str:
    rows = []
    for inside in (False, True):
        some = [one for one in results if bool(one["attackers"]) == inside]
        if not some:
            continue
        sums = {name: sum(one[name] for one in some) for name in some[0]}
        campaigns = (
            f"{sums['campaigns']} published, {sums['attackers_acted_on']} of {sums['attackers']} accounts acted on"
        )
        rows.append([
            f"{len(some)} with campaigns" if inside else f"{len(some)} without", f"{sums['people']:,}", f"{sums['accounts']:,}",
            f"{sums['handed']:,} ({sums['pairs']:,} pairs)", str(sums["acted_on"]),
            f"{sums['others_acted_on']} of {sums['others']:,}", str(sums["revoked"]), campaigns if inside else f"{sums['campaigns']} published",
        ])  # fmt: skip
    head = ["worlds", "people", "their accounts", "calls handed over", "acted on", "other honest accounts acted on", "revoked", "campaigns"]  # fmt: skip
    hit, of = (sum(one[name] for one in results) for name in ("acted_on", "accounts"))
    made = _HEAD.format(
        command=made_by, scenario=SCENARIO, second=arguments.second, third=arguments.third, failing=arguments.failing,
        slowest=_SLOWEST_S,
    )  # fmt: skip
    bound = f"{hit} of {of:,} were acted on (at most {at_most(hit, of):.2%}, Clopper-Pearson, one-sided, 95 %)."
    seeds = f"Seeds {seeds_of(results)}, {results[0]['days']} days each.\n"
    return "\n".join([made, seeds, table(head, rows), f"Of the accounts of people who have several {bound}"])


def jobs_for(arguments: Any) -> list[list[Job]]:
    """Every other world has campaigns."""
    out = []
    for number in range(arguments.seeds):
        scenario = loaded(SCENARIO, arguments.first_seed + number, arguments.days)
        if number % 2 == 0:
            honest = tuple(group for group in scenario.groups if not isinstance(group, Campaign))
            scenario = scenario.model_copy(update={"groups": honest})
        options = f"{arguments.second} {arguments.third} {arguments.failing}"
        out.append([Job(SCENARIO, scenario, arguments.texts, _MEASURED_BY, options=options)])
    return out


def main() -> None:
    made = parser(__doc__, seeds=4, out="docs/discovery.md")
    made.add_argument("--second", type=float, default=0.3, help="share of people with a second account")
    made.add_argument("--third", type=float, default=0.2, help="share of these with a third")
    made.add_argument("--failing", type=float, default=0.05, help="share of their calls that fail")
    made.add_argument("--name", default="own-accounts", help="of the section")
    arguments = made.parse_args()
    results = computed(jobs_for(arguments), worlds, arguments)
    if results:
        write(arguments.out, arguments.name, section(results, arguments, command("benchmarks.own_accounts")), {})


if __name__ == "__main__":
    main()
