"""Pictures with a reference of the same name in another folder; LOL and EUVP are such sets."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor
from torch.utils.data import Dataset

from lib.data.benchmark import Benchmark
from lib.data.images import READ_SUFFIXES, read_image
from lib.data.origin import Origin, file_sha256
from lib.data.video import list_pictures
from lib.errors import ShapeError, SpecError

NAMES_SHOWN = 3


@dataclass(frozen=True)
class PicturePair:
    """A picture and its reference of the same size, (3, H, W), 0..1; reference is None where the set has none.

    origin: of the picture, with the sha256 of its file.
    """

    name: str
    image: Tensor
    reference: Tensor | None
    origin: Origin


@dataclass(frozen=True)
class PairFolders:
    """Folder of pictures and folder of references, relative to the root; `prefix` goes before the names."""

    images: str
    references: str | None
    prefix: str = ""


FREE_PAIRS = Benchmark(
    "pairs",
    "input/ and reference/ with pictures of equal names",
    "the folder given",
    "not stated by the folder",
    "sample",
)


class PairedPictures(Dataset[PicturePair]):
    """Pairs of pictures: `data[i] -> PicturePair`, `data["name"]` too; read when asked for.

    root: by default holds `input/` and `reference/`. A picture and its reference have the same file name, but for the
    suffix; references without a picture are passed over. `names` lists the pairs in natural order.
    Raises DataMissing that says what is absent, where it comes from and its licence; SpecError for an unknown name;
    ShapeError when a picture and its reference differ in size.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        folders: Sequence[PairFolders] = (PairFolders("input", "reference"),),
        about: Benchmark = FREE_PAIRS,
    ) -> None:
        self.root = about.check_root(root)
        self.about = about
        self._pairs: list[tuple[str, Path, Path | None]] = []
        for folder in folders:
            self._pairs += self._find_pairs(folder)
        self.names = [name for name, _, _ in self._pairs]

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int | str) -> PicturePair:
        if isinstance(index, str):
            if index not in self.names:
                shown = ", ".join(self.names[:NAMES_SHOWN])
                raise SpecError(f"{self.about.name} holds no picture {index!r}; its {len(self)} names: {shown}, ...")
            index = self.names.index(index)
        name, path, reference_path = self._pairs[index]
        image = read_image(path)
        reference = read_image(reference_path) if reference_path else None
        if reference is not None and reference.shape != image.shape:
            raise ShapeError(
                f"{name} and its reference must share a size: got {tuple(image.shape)} and {tuple(reference.shape)}; "
                "fetch the pair again"
            )
        return PicturePair(name, image, reference, self.about.origin(name, file_sha256(path)))

    def _find_pairs(self, folder: PairFolders) -> list[tuple[str, Path, Path | None]]:
        images = self._pictures(folder.images)
        if folder.references is None:
            return [(folder.prefix + path.stem, path, None) for path in images]
        references = {path.stem: path for path in self._pictures(folder.references)}
        alone = [path.name for path in images if path.stem not in references]
        if alone:
            shown = ", ".join(alone[:NAMES_SHOWN])
            raise self.about.missing(f"{folder.references}/ lacks the references of {len(alone)} pictures: {shown}")
        return [(folder.prefix + path.stem, path, references[path.stem]) for path in images]

    def _pictures(self, relative: str) -> list[Path]:
        folder = self.root / relative
        if not folder.is_dir():
            raise self.about.missing(f"{self.root} lacks the folder {relative}/")
        pictures = list_pictures(folder)
        if not pictures:
            raise self.about.missing(f"{folder} holds no picture ({', '.join(READ_SUFFIXES)})")
        return pictures
