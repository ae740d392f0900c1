"""What each piece of evidence means, for a reviewer who has never seen the code and for the customer who asks.

Sentences of signals hold the figures. These say what is measured, why one source behind many accounts shows it, and what an
honest customer could answer, with what was done about that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from stillwatch.verdict import Action


@dataclass(frozen=True, slots=True)
class Meaning:
    title: str
    measures: str
    innocent: str = ""  # the customer's best answer, and what was done about it
    unit: str = ""  # of value and normal range, where the sentence uses another


_SHARED: Final = (
    "Accounts share such things for many honest reasons. It was only the reason to look, and is no evidence."
)

OF_GROUPS: Final[Mapping[str, Meaning]] = {
    "homogeneity": Meaning(
        "They ask about the same things, in the same shares",
        "Each conversation is sorted by its topic, and F measures how much the accounts' shares of topics differ. "
        "People and companies differ in what they ask about. Accounts that are fed from one list of prompts differ by "
        "chance alone: F is near 0.",
        "Colleagues, customers of one tool and a class with one assignment are alike as well. Such groups belong to "
        "what is called normal here, and a group that covers few topics is set aside.",
        unit="F",
    ),
    "pool_breadth": Meaning(
        "Together they ask about nearly everything",
        "How many topics the group covers, compared with all accounts. A product with one job, or a class, covers few.",
    ),
    "conduct": Meaning(
        "They work at hours and with pauses that people do not keep",
        "When the accounts write: at quiet hours, with even pauses, equally much every day. Each is compared with "
        "honest accounts that send as much; the mean over the group is compared with other groups that share "
        "something.",
        "A batch job of one honest company runs evenly, too. It counts as one customer here however many keys it "
        "uses, and this alone never leads to a revocation.",
        unit="standard deviations",
    ),
    "volume": Meaning(
        "Each of them sends far more than people do",
        "Conversations a day, compared with all accounts.",
        "A large honest customer sends much. Companies whose identity is verified are not judged by this.",
    ),
    "handoff": Meaning(
        "When a call fails on one account, another one repeats it word for word",
        (
            "A failed call that begins again on an account of another customer within a minute. A relay in front of "
            "the accounts does that."
        ),
        (
            "A person with two accounts does it as well. So it counts only where it connects at least four customers, "
            "and more often than chance."
        ),
    ),
    "own_signals": Meaning(
        "Too many of them look like a relay's account already by themselves",
        "The share of accounts whose own signals exceed what nineteen in twenty settled accounts show.",
    ),
    "equal_volumes": Meaning(
        "They are given equally much work",
        (
            "By which factor the accounts' conversations a day differ. Somebody who deals out work evenly makes them "
            "alike; people differ by factors."
        ),
        unit="natural logarithms of that factor",
    ),
    "pivot": Meaning(
        "They went over to a new model together",
        (
            "How many of them used a new model within hours of its release, compared with others that write as much or "
            "use the same software."
        ),
        "An update of a common tool moves its users together. Where one explains it, this test says nothing.",
    ),
    "lockstep": Meaning(
        "They go from topic to topic together",
        (
            "Whether accounts that write in the same hour ask about one topic, more than they do with what the others asked a day before or after. "
            "Somebody who works through a list of prompts in its order, over many accounts, makes them."
        ),
        (
            "A class in one lesson does it, and a team in one incident. How much honest groups do is what it is compared with, and "
            "it adds to the evidence only where this platform's settings say so."
        ),
        unit="of pairs of conversations",
    ),
    "capability_coverage": Meaning(
        "What they took",
        "How many kinds of task the group asked for, and how much of what people ask about it has covered.",
    ),
    "linkage": Meaning(
        "Why they were looked at",
        "Values that few other accounts share: a sign-up cohort, a payment family, an address block.",
        _SHARED,
    ),
    "indicator": Meaning(
        "Another platform has described a campaign like this",
        "Likeness to an indicator that was imported.",
        "What others say is no evidence here; it led to a closer look.",
    ),
}

_COMPARED: Final = "compared with honest accounts of like use, plan and volume"
OF_ACCOUNTS: Final[Mapping[str, Meaning]] = {
    "topic_diversity": Meaning(
        "It asks about very many different things", f"Different topics in eight of its conversations, {_COMPARED}."
    ),
    "topic_novelty": Meaning(
        "It keeps turning to something new", f"The chance that its next conversation is on a new topic, {_COMPARED}."
    ),
    "volume_to_diversity": Meaning("It rarely comes back to a topic", f"Conversations for each topic, {_COMPARED}."),
    "capability_coverage": Meaning("It asks for nearly every kind of task", f"Kinds of task met, {_COMPARED}."),
    "topic_persistence": Meaning(
        "It does not stay with a subject", f"How like a conversation is to the one before, {_COMPARED}."
    ),
    "query_coherence": Meaning(
        "Its requests do not follow from each other", f"Likeness of requests within a conversation, {_COMPARED}."
    ),
    "conversation_depth": Meaning("It does not converse", f"Requests in a conversation, {_COMPARED}."),
    "repetition": Meaning("It never asks anything twice", f"Openings that nearly repeat an earlier one, {_COMPARED}."),
    "quiet_hours": Meaning(
        "It has no night", f"Share of its requests in the quietest eight hours of its day, {_COMPARED}."
    ),
    "inter_arrival": Meaning(
        "Its pauses are even", f"How uneven the pauses between its conversations are, {_COMPARED}."
    ),
    "daily_dispersion": Meaning("Its days are equally full", f"How unequal its days are, {_COMPARED}."),
    "parameter_constancy": Meaning(
        "It never changes its parameters", f"Share of its most common parameters, {_COMPARED}."
    ),
    "template_concentration": Meaning(
        "It fills one form", f"Share of requests that fill its most common form, {_COMPARED}."
    ),
    "system_prompt_concentration": Meaning(
        "It uses one system prompt", f"Share of its most common system prompt, {_COMPARED}."
    ),
    "elicitation_rate": Meaning(
        "It asks for what a model can be trained on", f"Requests for reasoning or structured output, {_COMPARED}."
    ),
    "output_length": Meaning("It asks for long answers", f"Tokens of an answer, {_COMPARED}."),
    "cohort_anomaly": Meaning(
        "It is unlike the others",
        "How rare the whole picture is. It has no direction and does not count towards the score.",
    ),
    "combined_evidence": Meaning(
        "All of it together",
        "How many times likelier all signals together are for an attack than for an honest account.",
    ),
}

DOES: Final[Mapping[Action, str]] = {
    "observe": "They are let through and marked for a person to look at",
    "throttle": "They are slowed down: gateways answer 429 to most of their requests",
    "challenge": "They are refused until somebody has verified who stands behind them",
    "suspend": "They are refused for a time",
    "revoke": "They are refused",
}

SHARE: Final[Mapping[str, str]] = {
    "signup": "a sign-up cohort",
    "payment": "a family of payment instruments",
    "address": "a block of addresses",
    "invite": "who has invited them",
    "invite_tree": "a tree of invitations",
    "client": "a fingerprint of client software",
    "system": "a system prompt",
    "parameters": "a set of parameters",
    "template": "a form that prompts fill",
    "block": "several rare values at once",
    "handoff": "calls that are handed from one to another",
    "mixture": "topics",
}


def meaning(name: str, kind: str) -> Meaning:
    """``kind``: of the verdict. A signal that came later than this table is shown under its name.

    >>> meaning("homogeneity", "campaign").title, meaning("brand_new", "account").title
    ('They ask about the same things, in the same shares', 'brand new')
    """
    known = (OF_GROUPS if kind == "campaign" else OF_ACCOUNTS).get(name)
    return known or Meaning(name.replace("_", " "), "")


def shared(group: str) -> str:
    """What the accounts of a group share, in words: of ``view=value`` the view. Values are opaque tokens.

    >>> shared("signup=8f3a"), shared("brand_new=1")
    ('a sign-up cohort', 'the same brand new')
    """
    view = group.partition("=")[0]
    return SHARE.get(view, f"the same {view.replace('_', ' ')}")


def odds(surprise: float) -> str:
    """-log10 of a p-value as people say it.

    >>> [odds(surprise) for surprise in (0.05, 1.3, 5.72)]
    ['is ordinary', 'is seen in about 1 of 20', 'is seen in about 1 of 520,000']
    >>> odds(8.94), odds(15.0)
    ('is seen in about 1 of 870 million', 'is seen in less than 1 of a million million')
    """
    if surprise >= 12:
        return "is seen in less than 1 of a million million"
    one_in = 10**surprise
    if one_in < 2:
        return "is ordinary"
    return f"is seen in about 1 of {_two(one_in) if one_in < 1e6 else large(one_in)}"


def large(number: float) -> str:
    """Two digits are enough to read.

    >>> [large(number) for number in (7.3, 3915.0, 42033.8, 1_375_992.8, 19_279_389_815.7, 1e30, 1e300)]
    ['7.3', '3,915', '42,034', '1.4 million', '19 thousand million', '10^30', 'beyond measure']
    """
    if number < 100:
        return f"{number:.2g}"
    if number < 1e6:
        return f"{number:,.0f}"
    for unit, size in (("million million", 1e12), ("thousand million", 1e9), ("million", 1e6)):
        if size <= number < 1e15:
            return f"{_two(number / size)} {unit}"
    return f"10^{len(f'{number:.0f}') - 1}" if number < 1e200 else "beyond measure"


def _two(number: float) -> str:
    return f"{float(f'{number:.2g}'):,.10g}"
