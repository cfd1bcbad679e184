"""Where things are: the checkout, its data, and the folder that runs write to."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Paths:
    """Folders of this checkout; `runs`, `reports` and `cache` follow NOCTURNE_OUT when it is set."""

    root: Path
    notebooks: Path
    papers: Path
    runs: Path
    reports: Path
    cache: Path


def paths() -> Paths:
    """Folders in use, read anew on every call so that NOCTURNE_OUT may change between runs."""
    root = Path(__file__).resolve().parent.parent
    out = Path(os.environ["NOCTURNE_OUT"]).resolve() if os.environ.get("NOCTURNE_OUT") else root
    return Paths(
        root=root,
        notebooks=root / "notebooks",
        papers=root / "data" / "papers",
        runs=out / "runs",
        reports=out / "reports",
        cache=root / "data" / "cache" if out == root else out / "cache",
    )
