"""docs/safety.md says how each component fails and which test shows it: those tests exist, and no row is without one."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROWS = [
    line for line in (ROOT / "docs/safety.md").read_text(encoding="utf-8").partition("## Fail open")[2].splitlines()
    if line.startswith("| ") and not line.startswith("| component")
]  # fmt: skip


def test_every_row_names_a_test_that_exists_or_says_why_there_is_none() -> None:
    assert len(ROWS) > 25
    without = []
    for row in ROWS:
        named = re.search(r"`(tests/[\w/]+\.py)::(test_\w+)`", row)
        if named is None:
            without.append(row)
            continue
        text = (ROOT / named[1]).read_text(encoding="utf-8")
        assert re.search(rf"def {named[2]}\(", text), f"{named[0]} is not there"
    assert [("none: it is not ours" in row) for row in without] == [True]
