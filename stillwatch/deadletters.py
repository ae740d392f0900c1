"""What can be done with a dead letter: the event or label in it, if this version accepts it, else why it still does not."""

from __future__ import annotations

from stillwatch.event import Rejected, RequestEvent, check_arrival
from stillwatch.ports import DeadLetter, Label
from stillwatch.wire import Undecoded, decode_label, decode_message


def resubmission(letter: DeadLetter, now_unix_nano: int) -> RequestEvent | Label | Rejected:
    """To be published as if it came now: to the account's own subject, whatever partition it was sent to by mistake.

    What came on another account's subject stays out: to replay it would let one account speak for another.
    """
    if letter.truncated_from:
        return Rejected(
            "oversize", "", f"only its first {len(letter.payload)} of {letter.truncated_from} bytes were kept"
        )
    if letter.subject.startswith("stillwatch.labels."):
        return decode_label(letter.payload)
    items = decode_message(letter.payload)
    item = items[0]
    if len(items) != 1:
        return Rejected("oversize", "", "an envelope of several events; replay is for one")
    if isinstance(item, Undecoded):
        return item.rejected
    on = letter.subject.rpartition(".")[2]
    if letter.subject.startswith("stillwatch.partition.") and item.account != on:
        return Rejected("account_mismatch", "account", "the body names another account than the subject it came on")
    return check_arrival(item, now_unix_nano) or item
