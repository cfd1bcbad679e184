"""What the walkthrough says of a scene whose object, flow and colours are known."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lib.data.origin import Origin
from lib.errors import SpecError
from lib.fodvid import walkthrough as walk
from lib.fodvid.evaluate import Refinement, see
from lib.fodvid.scenes import Scene, scene_of
from lib.fodvid.train import Step, Trained, build_network, prepare_all
from tests.fodvid import segmenter_scene
from tests.fodvid.discovery_scene import HEIGHT, PATCH, SPEED, WIDTH, discoverer, truth, video

ORIGIN = Origin("block", "simulated", "MIT", "", "drawn by the test")
COUNT = 5


def block_scene(count: int = COUNT, *, known: bool = True) -> Scene:
    frames = torch.stack(list(video(count)))
    masks = torch.stack([truth(idx) for idx in range(count)]) if known else None
    return scene_of("block", frames, masks, ORIGIN)


@pytest.fixture(scope="module")
def seen():
    return see(discoverer(), block_scene())


class Bright(nn.Module):
    """A network that takes for the object what is bright; its logits are those of the patches."""

    modulation = "features"

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(20.0))

    def forward(self, features, size, image=None):
        return F.interpolate(self.gain * features[:, :1], size=size, mode="bilinear")


def test_settings_follow_the_backbone():
    stand_in = walk.settings_for("efficientnet_lite0")
    assert (stand_in.is_stand_in, stand_in.flow, stand_in.weights) == (True, "dis", "auto")
    paper = walk.settings_for("dino_vitb8", weights="some.pth", flow="arflow")
    assert (paper.alpha, paper.tau, paper.weights, paper.flow) == (0.7, 0.25, "some.pth", "arflow")
    assert "not comparable" in walk.notice(stand_in).replace("no score here is comparable", "not comparable")
    assert "Stand-in" not in walk.notice(paper)
    assert walk.notice(stand_in) in walk.measure_for(stand_in).protocol


def test_training_is_the_papers_only_on_the_papers_features():
    paper = walk.training_for(walk.settings_for("dino_vits8"), size=(480, 854), epochs=3, seed=1, device="cpu")
    assert (paper.size, paper.batch_size, paper.modulation, paper.epochs) == ((256, 512), 16, "features", 3)
    small = walk.training_for(walk.settings_for("vgg16"), size=(480, 848), epochs=3, seed=1, device="cpu")
    assert (small.size, small.seed) == ((240, 424), 1)
    assert walk.training_for(walk.settings_for("vgg16"), size=(100, 60), epochs=3, seed=1, device="cpu").size == (
        100,
        60,
    )


def test_scenes_by_name_and_by_file(tmp_path):
    known = walk.scene_from("astronaut", "", seed=0, num_frames=2, height_px=64)
    assert (known.num_frames, known.origin.kind, len(list(known.truths()))) == (2, "simulated", 2)
    from lib.data.images import write_image

    for idx in range(3):
        write_image(tmp_path / f"{idx}.png", next(video(1)))
    own = walk.scene_from("astronaut", str(tmp_path), seed=0, num_frames=2, height_px=32)
    assert (own.num_frames, own.truths, own.origin.kind) == (2, None, "sample")
    assert next(own.frames()).shape[1] == 32


def test_a_scene_is_split_without_loss():
    scene = block_scene()
    first, last = walk.split(scene, 2)
    assert (first.num_frames, last.num_frames) == (3, 2)
    assert torch.equal(torch.stack([*first.frames(), *last.frames()]), torch.stack(list(scene.frames())))
    assert torch.equal(torch.stack([*first.truths(), *last.truths()]), torch.stack(list(scene.truths())))
    assert walk.split(block_scene(known=False), 2)[1].truths is None
    with pytest.raises(SpecError, match="must have 6 frames or more: got 5"):
        walk.split(scene, 3)


def test_similarity_is_one_to_itself_and_mixes_by_alpha(seen):
    look = walk.look_at(seen, 1)
    patch = walk.object_patch(look)
    own = {alpha: walk.similarity_to(look, patch, alpha=alpha) for alpha in (0.0, 0.3, 1.0)}
    for plane in own.values():
        assert plane.shape == look.grid == (HEIGHT // PATCH, WIDTH // PATCH)
        assert plane[patch] == pytest.approx(1, abs=1e-5)
    assert torch.allclose(own[0.3], 0.3 * own[1.0] + 0.7 * own[0.0], atol=1e-6)
    inside = F.max_pool2d(truth(1)[None].float(), PATCH)[0] > 0
    # what moves together is alike, and unlike what rests
    assert own[0.0][inside].min() > 0.99
    assert own[0.0][~inside].max() < 0.1
    for wrong in ((-1, 0), (0, 12), (8, 0)):
        with pytest.raises(SpecError, match="8 rows and 12 columns"):
            walk.similarity_to(look, wrong, alpha=0.5)
    with pytest.raises(SpecError, match="alpha must be within"):
        walk.similarity_to(look, patch, alpha=1.1)


def test_the_objects_patch_lies_on_the_object(seen):
    for idx in range(COUNT):
        row, column = walk.object_patch(walk.look_at(seen, idx))
        assert truth(idx)[row * PATCH + PATCH // 2, column * PATCH + PATCH // 2]
    blind = see(discoverer(), block_scene(known=False))
    row, column = walk.object_patch(walk.look_at(blind, 0))
    assert truth(0)[row * PATCH + PATCH // 2, column * PATCH + PATCH // 2]
    look = walk.look_at(seen, 0)
    assert walk.patch_at(look, 0.0, 0.0) == (0, 0)
    assert walk.patch_at(look, 1.0, 1.0) == (7, 11)
    assert len(set(walk.three_patches(look).values())) == 3
    assert [(one.name, one.low, one.high) for one in walk.click_sliders(look, alpha=0.4)] == [
        ("row", 0, 7),
        ("column", 0, 11),
        ("alpha", 0.0, 1.0),
    ]


def test_like_features_have_like_colours(seen):
    look = walk.look_at(seen, 0)
    picture = walk.principal_colours(look.features)
    inside = F.max_pool2d(truth(0)[None].float(), PATCH)[0] > 0
    assert picture.shape == (3, 8, 12)
    assert 0 <= picture.min() <= picture.max() <= 1
    first = picture[0]
    assert abs(first[inside].mean() - first[~inside].mean()) > 0.5
    assert first[inside].std() < 0.1


def test_raw_flow_is_the_estimators(seen):
    flow = walk.raw_flow(seen, 2)
    assert flow[0, 0][truth(2)].unique().tolist() == [SPEED]
    with pytest.raises(SpecError, match="frame 4 of 5 has none"):
        walk.raw_flow(seen, 4)


def test_graph_and_stages_end_at_the_discovered_mask(seen):
    look = walk.look_at(seen, 1)
    settings = seen.discoverer.settings
    cut = seen.discoverer.cut(look.features, look.flow_features)
    stages = walk.cut_stages(cut, settings, look.size)
    assert torch.equal(stages["the seed's component"], truth(1))
    assert all(mask.shape == look.size for mask in stages.values())
    facts = dict(walk.graph_table(walk.graph_of(look, settings), cut).rows)
    assert facts["patches N"] == "96"
    # nine patches of the block are joined to each other, the 87 others as well
    assert facts["pairs that are joined (%)"] == f"{100 * (81 + 87**2) / 96**2:.0f}"
    assert facts["patches without a neighbour"] == "0"


def test_scores_by_hand():
    true = torch.zeros(4, 4, 4, dtype=torch.bool)
    true[:, :2] = True
    masks = true.clone()
    masks[1, 0] = False
    masks[2] = False
    truths = list(true)
    assert walk.frames_j(list(masks), truths) == [100, 50, 0, 100]
    assert walk.mean_j(list(masks), truths) == 25
    assert walk.worst_frame(list(masks), truths) == 2
    shown = walk.result_table({"ours": list(masks)}, truths)
    assert shown.rows == (("ours", "25", "0", "2 of 4"),)
    assert walk.j_lines({"ours": list(masks)}, truths)["ours"] == ([0, 1, 2, 3], [100, 50, 0, 100])
    found = walk.findings({"ours": list(masks)}, truths, walk.settings_for("vgg16"))
    assert [(one.row, one.value, one.measure.unit) for one in found] == [("ours", 25, "%")]


def test_without_truth_sizes_take_the_place_of_scores():
    masks = [torch.zeros(2, 2, dtype=torch.bool) for _ in range(4)]
    masks[1][0] = True
    assert walk.result_table({"ours": masks}, []).rows == (("ours", "12"),)
    assert walk.j_lines({"ours": masks}, [])["ours"][1] == [0, 50, 0, 0]
    assert walk.worst_frame(masks, []) == 1
    assert walk.findings({"ours": masks}, [], walk.settings_for("vgg16")) == []


def test_flow_is_what_finds_a_block_of_the_grounds_colour():
    frames = torch.stack(list(video(4, contrast=0.003)))

    def estimator(a, b):
        return torch.where(truth(0), float(SPEED), 0.0).expand(1, 2, -1, -1)

    hidden = see(discoverer(estimator, alpha=0.2), scene_of("hidden", frames[:3], torch.stack([truth(0)] * 3), ORIGIN))
    masks = walk.masks_by_alpha(hidden, [1.0, 0.2])
    assert list(masks) == ["alpha 1", "alpha 0.2"]
    assert walk.mean_j(masks["alpha 0.2"], hidden.truths) == 100
    assert walk.mean_j(masks["alpha 1"], hidden.truths) < 60


def test_the_prediction_is_handed_over_in_the_right_direction(seen):
    masks = [truth(idx) for idx in range(COUNT)]
    trained = Trained(Bright(), (), segmenter_scene.tiny(size=(HEIGHT, WIDTH)))
    refinement = Refinement(trained, masks)
    handed = walk.hand_over(seen, refinement, masks, 1, 2)
    assert torch.equal(handed.mask, truth(3))
    assert torch.equal(handed.f2, seen.frame(3))
    # the flow lies on f2's grid and points back
    assert handed.flow[0, 0][truth(3)].unique().tolist() == [-2 * SPEED]
    assert torch.allclose(handed.warped[truth(3)], handed.predicted[truth(1)])
    assert not torch.allclose(handed.wrong_way[truth(3)], handed.predicted[truth(1)])
    with pytest.raises(SpecError, match="no neighbour at offset 2"):
        walk.hand_over(seen, refinement, masks, 4, 2)


def test_loss_lines_add_up():
    steps = [Step(number, 0.5 + number, {"same": 0.25 + number, "warped": 0.25}) for number in range(1, 20)]
    lines = walk.loss_lines(steps)
    assert set(lines) == {"sum", "own mask", "warped, neighbour's mask"}
    numbers, total = lines["sum"]
    assert numbers[0] == 4.5
    assert len(numbers) == 3
    halves = [
        own + other for own, other in zip(lines["own mask"][1], lines["warped, neighbour's mask"][1], strict=True)
    ]
    assert halves == pytest.approx(total)


def test_the_decoders_parts_are_counted():
    settings = segmenter_scene.tiny()
    network = build_network(prepare_all([segmenter_scene.scene()], settings), settings)
    rows = walk.network_table(Refinement(Trained(network, (), settings), [])).rows
    total = sum(int(count.replace(" ", "")) for _, count in rows)
    assert total == sum(value.numel() for value in network.decoder.parameters())
    assert len(rows) == 3
