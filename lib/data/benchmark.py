"""What a benchmark is called, how it is laid out, where it comes from and under which licence."""

from dataclasses import dataclass
from pathlib import Path

from lib.data.origin import Kind, Origin
from lib.errors import DataMissing


@dataclass(frozen=True)
class Benchmark:
    """A data set in words; `source` names the paper and the publisher, `licence` is as the source states it."""

    name: str
    layout: str
    source: str
    licence: str
    kind: Kind = "benchmark"

    def missing(self, what: str) -> DataMissing:
        """Error for a part that is absent: what, the layout, the source and the licence."""
        return DataMissing(
            f"{what}; expected {self.layout}. {self.name} comes from {self.source}; licence: {self.licence}"
        )

    def origin(self, part: str, sha256: str) -> Origin:
        """Origin of one part (picture, clip, scene) with its checksum."""
        return Origin(f"{self.name} {part}", self.kind, self.licence, sha256, self.source)

    def check_root(self, root: str | Path) -> Path:
        """The root as a path; raises DataMissing when it is no folder."""
        if not Path(root).is_dir():
            raise self.missing(f"{root} is not a folder")
        return Path(root)
