"""One account: what is remembered of it, in bounded memory."""

from __future__ import annotations

from stillwatch.account.state import INVITE, LINKAGE_VIEWS, MAX_PACKED_BYTES, AccountState, Fold, event_half
from stillwatch.account.store import AccountStore

__all__ = ["INVITE", "LINKAGE_VIEWS", "MAX_PACKED_BYTES", "AccountState", "AccountStore", "Fold", "event_half"]
