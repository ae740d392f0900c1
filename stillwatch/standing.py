"""Who stands behind an account: what is known of it without looking at a single request."""

from __future__ import annotations

from typing import Final

# Organisations that somebody has checked. Such accounts are dearer to get and have somebody to ask; none is immune.
VERIFIED_ORGANISATIONS: Final = frozenset({"business", "contract"})
# Younger accounts do not say what is normal as long as there are older ones: campaigns sign up afresh (docs/adr/0009).
SETTLED_AFTER_S: Final = 30 * 86_400
