"""One cluster in a process of its own, so that a fault may kill all of it: ``python -m chaos.line SETTINGS.json``.

Says ``ready`` when it is, and stops when its standard input ends: also when whoever started it was killed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from launch.cluster import cluster
from stillwatch.settings import Settings

if __name__ == "__main__":
    with cluster(Settings.model_validate_json(Path(sys.argv[1]).read_text())):
        print("ready", flush=True)
        sys.stdin.read()
