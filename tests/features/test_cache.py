"""Features on disk: computed once for a content, anew for any other, and never half written."""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lib.errors import ShapeError
from lib.features import FeatureCache, FeatureExtractor, PatchFeatures, cached
from lib.features.cache import key_of


class Counting(nn.Module):
    """Means of 8x8 patches times a factor; counts its calls."""

    identity = "means"

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = factor
        self.calls = 0

    def forward(self, image: Tensor) -> Tensor:
        self.calls += 1
        return self.factor * nn.functional.avg_pool2d(image, 8).flatten(2).transpose(1, 2)


def extractor(network: Counting, weights: str = "first (sha256 1)") -> FeatureExtractor:
    return FeatureExtractor("means", network, 8, 8, 3, weights, True)


def test_same_content_is_computed_once(picture: Tensor, tmp_path: Path) -> None:
    network = Counting()
    plain = extractor(network)
    kept = cached(plain, tmp_path / "features")
    first, second = kept(picture), kept(picture.clone())
    later = cached(extractor(network), tmp_path / "features")(picture)
    assert network.calls == 1
    assert torch.equal(first.tokens, second.tokens)
    assert torch.equal(first.tokens, later.tokens)
    assert first.grid == second.grid == (8, 12)
    assert torch.allclose(first.tokens, plain(picture).tokens, atol=1e-3)
    assert len(list((tmp_path / "features").iterdir())) == 1
    assert (kept.name, kept.weights, kept.is_stand_in) == (plain.name, plain.weights, True)


def test_any_other_content_is_computed(picture: Tensor, tmp_path: Path) -> None:
    network = Counting()
    cache = FeatureCache(tmp_path)
    cache(extractor(network), picture)
    changed = picture.clone()
    changed[0, 0, 0, 0] += 1 / 255
    cache(extractor(network), changed)
    cache(extractor(network, weights="second (sha256 2)"), picture)
    cache(replace(extractor(network), name="others"), picture)
    cache(extractor(network), picture.reshape(1, 3, 96, 64))
    assert network.calls == 5


def test_key_depends_on_stages_and_weights(picture: Tensor, lite0: FeatureExtractor) -> None:
    other = replace(lite0, weights="random weights")
    assert key_of(lite0, picture) != key_of(other, picture)
    assert "stages (2, 4)" in lite0.identity


@pytest.mark.parametrize("content", [b"", b"not a safetensors file", None])
def test_corrupt_file_is_made_anew(
    picture: Tensor, tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes | None
) -> None:
    network = Counting()
    cache = FeatureCache(tmp_path)
    first = cache(extractor(network), picture)
    file = next(tmp_path.iterdir())
    file.write_bytes(file.read_bytes()[:-7] if content is None else content)
    with caplog.at_level(logging.WARNING):
        again = cache(extractor(network), picture)
    assert "computed again" in caplog.text
    assert network.calls == 2
    assert torch.equal(first.tokens, again.tokens)
    cache(extractor(network), picture)
    assert network.calls == 2


def test_many_at_once_get_the_same(picture: Tensor, tmp_path: Path) -> None:
    network = Counting()

    def one(_: int) -> PatchFeatures:
        return FeatureCache(tmp_path)(extractor(network), picture)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(one, range(16)))
    assert all(torch.equal(found[0].tokens, each.tokens) for each in found)
    assert [file.suffix for file in tmp_path.iterdir()] == [".safetensors"]


def test_values_beyond_float16_are_refused(picture: Tensor, tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match="do not fit float16"):
        FeatureCache(tmp_path)(extractor(Counting(1e6)), picture)
    assert not list(tmp_path.iterdir())


def test_default_folder_is_the_projects_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOCTURNE_OUT", str(tmp_path))
    assert FeatureCache().folder == tmp_path / "cache" / "features"
