"""Features kept on disk by what they were made from: the picture's numbers and the extractor's identity."""

import hashlib
import logging
from dataclasses import dataclass, field, fields
from pathlib import Path

import torch
from torch import Tensor

from lib.data.atomic import appears_whole
from lib.errors import ShapeError
from lib.features.extractor import FeatureExtractor, PatchFeatures
from lib.paths import paths

LOG = logging.getLogger(__name__)


class FeatureCache:
    """`cache(extractor, image)` gives what `extractor(image)` gives, rounded to float16, and computes it only once.

    folder: where the files lie; None: `features` in the project's cache. A file that cannot be read is made anew.
    Several processes may share a folder: a file appears whole or not at all.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = paths().cache / "features" if folder is None else folder

    def __call__(self, extractor: FeatureExtractor, image: Tensor) -> PatchFeatures:
        """Features of pictures (B, 3, H, W), RGB, 0..1, on the picture's device."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file, save_file

        file = self.folder / f"{key_of(extractor, image)}.safetensors"
        if file.is_file():
            try:
                content = load_file(file)
                rows, columns = content["grid"].tolist()
                return PatchFeatures(content["tokens"].float().to(image.device), (rows, columns))
            except (SafetensorError, KeyError, ValueError, OSError) as error:
                LOG.warning("cached features %s cannot be read (%s); they are computed again", file.name, error)
        features = extractor.compute(image)
        half = features.tokens.half().cpu().contiguous()
        if not half.isfinite().all():
            raise ShapeError(f"features of {extractor.name} do not fit float16; use the extractor without a cache")
        self.folder.mkdir(parents=True, exist_ok=True)
        with appears_whole(file) as partial:
            save_file({"tokens": half, "grid": torch.tensor(features.grid)}, partial)
        return PatchFeatures(half.float().to(image.device), features.grid)


@dataclass(frozen=True, eq=False)
class CachedExtractor(FeatureExtractor):
    """An extractor that looks into a cache first; made by `cached`."""

    cache: FeatureCache = field(default_factory=FeatureCache)

    def __call__(self, image: Tensor) -> PatchFeatures:
        """Features of pictures (B, 3, H, W), RGB, 0..1, on their device, rounded to float16."""
        return self.cache(self, image)


def cached(extractor: FeatureExtractor, folder: Path | None = None) -> CachedExtractor:
    """The same extractor, which keeps what it computes on disk and computes nothing twice, also in later sessions.

    folder: where the files lie; None: `features` in the project's cache. For instance
    `Discoverer(settings, extractor=cached(load_features("dino_vits16")))`.
    """
    parts = {each.name: getattr(extractor, each.name) for each in fields(FeatureExtractor)}
    return CachedExtractor(**parts, cache=FeatureCache(folder))


def key_of(extractor: FeatureExtractor, image: Tensor) -> str:
    """SHA-256 of the extractor's identity and the picture's form and numbers."""
    digest = hashlib.sha256(f"{extractor.identity} {tuple(image.shape)} {image.dtype}".encode())
    digest.update(image.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
