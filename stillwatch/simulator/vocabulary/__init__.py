"""What the built-in texts talk about: 64 domains in four sectors. Data, no code.

The order inside a sector is its popularity: the first domains are asked about most.
"""

from __future__ import annotations

from typing import Final

from stillwatch.simulator.vocabulary.business import BUSINESS
from stillwatch.simulator.vocabulary.domain import Domain, Sector
from stillwatch.simulator.vocabulary.engineering import ENGINEERING
from stillwatch.simulator.vocabulary.living import LIVING
from stillwatch.simulator.vocabulary.science import SCIENCE

SECTORS: Final[dict[Sector, tuple[Domain, ...]]] = {
    "engineering": ENGINEERING,
    "business": BUSINESS,
    "science": SCIENCE,
    "living": LIVING,
}

__all__ = ["SECTORS", "Domain", "Sector"]
