"""The graph of patches: by hand, against the plain product, and its bad input."""

import pytest
import torch

from lib.errors import ShapeError, SpecError
from lib.fodvid import affinity
from lib.fodvid.affinity import cosine_similarity, patch_affinity


def features(count: int, dim: int, seed: int) -> torch.Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed))


def test_by_hand() -> None:
    image = torch.tensor([[2.0, 0.0], [0.0, 3.0], [1.0, 1.0]])
    flow = torch.tensor([[1.0], [1.0], [-1.0]])
    similarity = cosine_similarity(image, flow, alpha=0.75)
    half = 0.75 * 0.5**0.5 - 0.25
    expected = torch.tensor([[1, 0.25, half], [0.25, 1, half], [half, half, 1]])
    assert torch.allclose(similarity, expected, atol=1e-6)
    graph = patch_affinity(image, flow, alpha=0.75, tau=0.27, epsilon=0.1)
    assert graph.edges.tolist() == [[True, False, True], [False, True, True], [True, True, True]]
    assert graph.dense()[0].tolist() == pytest.approx([1, 0.1, 1])
    assert graph.degrees().tolist() == pytest.approx([2.1, 2.1, 3])


@pytest.mark.parametrize("tau", [0.2, -0.2])
@pytest.mark.parametrize("count", [1, 7, 64, 141])
def test_blocks_give_the_whole_product(
    count: int, tau: float, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(affinity, "PANEL_ROWS", 64)
    monkeypatch.setattr(affinity, "BLOCK_ROWS", 32)
    image, flow = features(count, 12, 0).to(device), features(count, 5, 1).to(device)
    graph = patch_affinity(image, flow, alpha=0.6, tau=tau)
    similarity = cosine_similarity(image, flow, alpha=0.6)
    clear = (similarity - tau).abs() > 1e-5
    assert torch.equal(graph.edges[clear], (similarity >= tau)[clear])
    assert torch.equal(graph.edges, graph.edges.T)
    assert graph.edges.device == image.device


def test_length_of_features_does_not_matter_and_a_null_vector_resembles_nothing() -> None:
    image = features(20, 6, 2)
    scaled = image * torch.linspace(0.1, 9, 20)[:, None]
    assert torch.allclose(cosine_similarity(image, None, alpha=1), cosine_similarity(scaled, None, alpha=1), atol=1e-6)
    image[3] = 0
    assert cosine_similarity(image, None, alpha=1)[3].abs().max() == 0


def test_other_devices_take_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    image = features(141, 12, 6)
    expected = patch_affinity(image, None, alpha=1).edges
    monkeypatch.setattr(affinity, "BLOCK_ROWS", 32)
    monkeypatch.setattr(affinity, "_fill_on_cpu", affinity._fill)
    assert torch.equal(patch_affinity(image, None, alpha=1).edges, expected)


def test_alpha_chooses_the_part() -> None:
    image, flow = features(9, 4, 3), features(9, 3, 4)
    assert torch.equal(cosine_similarity(image, flow, alpha=1), cosine_similarity(image, None, alpha=1))
    assert torch.allclose(cosine_similarity(image, flow, alpha=0), cosine_similarity(flow, None, alpha=1))


def test_bad_input() -> None:
    image = features(9, 4, 5)
    with pytest.raises(SpecError, match=r"alpha = 0\.7 needs flow features"):
        patch_affinity(image, None)
    with pytest.raises(SpecError, match="alpha must be within"):
        patch_affinity(image, image, alpha=-0.1)
    with pytest.raises(ShapeError, match="as many patches: got 9 and 8"):
        patch_affinity(image, image[:8])
    with pytest.raises(ShapeError, match="flow features must be finite"):
        patch_affinity(image, image * torch.nan)
    with pytest.raises(ShapeError, match=r"image features must be \(N, D\)"):
        patch_affinity(image[None], image)
