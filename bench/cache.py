"""Where what was measured of this machine is kept."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """$XDG_CACHE_HOME/bench, or ~/.cache/bench."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "bench"
