"""CLIP-IQA's encoders against torch's own layers on random weights, its score, and what happens without weights.

With random weights both encoders were also compared with those that torchmetrics takes: equal to 3e-6 of values of 5.
"""

import warnings
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.errors import ShapeError
from lib.metrics import clip, clip_iqa, score_or_reason

TEXT_WIDTH, EMBEDDING = 128, 24


def tiny_weights() -> dict[str, Tensor]:
    """CLIP with eight channels, one block a stage and two text layers, under the published names."""
    generator = torch.Generator().manual_seed(0)
    weights: dict[str, Tensor] = {}

    def add(name: str, *shape: int) -> None:
        fan_in = max(1, torch.Size(shape[1:]).numel())
        weights[name] = torch.randn(shape, generator=generator) / fan_in**0.5

    def add_norm(name: str, channels: int) -> None:
        for kind in ("weight", "bias", "running_mean", "running_var"):
            weights[f"{name}.{kind}"] = 0.5 + torch.rand(channels, generator=generator)

    def add_conv(conv: str, norm: str, *shape: int) -> None:
        add(f"{conv}.weight", *shape)
        add_norm(norm, shape[0])

    for layer, shape in ((1, (4, 3, 3, 3)), (2, (4, 4, 3, 3)), (3, (8, 4, 3, 3))):
        add_conv(f"visual.conv{layer}", f"visual.bn{layer}", *shape)
    channels = 8
    for stage in range(4):
        name, width = f"visual.layer{stage + 1}.0", 8 * 2**stage
        add_conv(f"{name}.conv1", f"{name}.bn1", width, channels, 1, 1)
        add_conv(f"{name}.conv2", f"{name}.bn2", width, width, 3, 3)
        add_conv(f"{name}.conv3", f"{name}.bn3", 4 * width, width, 1, 1)
        add_conv(f"{name}.downsample.0", f"{name}.downsample.1", 4 * width, channels, 1, 1)
        channels = 4 * width
    for kind in ("q", "k", "v", "c"):
        add(f"visual.attnpool.{kind}_proj.weight", EMBEDDING if kind == "c" else channels, channels)
        add(f"visual.attnpool.{kind}_proj.bias", EMBEDDING if kind == "c" else channels)
    add("token_embedding.weight", 49408, TEXT_WIDTH)
    add("positional_embedding", 77, TEXT_WIDTH)
    for layer in range(2):
        name = f"transformer.resblocks.{layer}"
        for part, outputs, inputs in (
            ("attn.in_proj_", 3 * TEXT_WIDTH, TEXT_WIDTH),
            ("attn.out_proj.", TEXT_WIDTH, TEXT_WIDTH),
            ("mlp.c_fc.", 4 * TEXT_WIDTH, TEXT_WIDTH),
            ("mlp.c_proj.", TEXT_WIDTH, 4 * TEXT_WIDTH),
        ):
            add(f"{name}.{part}weight", outputs, inputs)
            add(f"{name}.{part}bias", outputs)
        add_norm(f"{name}.ln_1", TEXT_WIDTH)
        add_norm(f"{name}.ln_2", TEXT_WIDTH)
    add_norm("ln_final", TEXT_WIDTH)
    add("text_projection", TEXT_WIDTH, EMBEDDING)
    return weights


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    return tiny_weights()


@pytest.fixture
def stored(weights: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny network takes the place of the published one."""
    monkeypatch.setattr(clip, "_weights_on", lambda device: {name: it.to(device) for name, it in weights.items()})


def picture(height: int = 40, width: int = 52, *, seed: int = 0) -> Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))


def test_text_encoder_equals_torch_transformer_layers(weights: dict[str, Tensor]) -> None:
    names = {
        "attn.in_proj_": "self_attn.in_proj_",
        "attn.out_proj.": "self_attn.out_proj.",
        "mlp.c_fc.": "linear1.",
        "mlp.c_proj.": "linear2.",
        "ln_1.": "norm1.",
        "ln_2.": "norm2.",
    }
    tokens = torch.tensor(clip.PROMPTS[0])
    x = (weights["token_embedding.weight"][tokens] + weights["positional_embedding"][:5]).unsqueeze(0)
    mask = nn.Transformer.generate_square_subsequent_mask(5)
    for layer in range(2):
        oracle = nn.TransformerEncoderLayer(
            TEXT_WIDTH,
            TEXT_WIDTH // 64,
            4 * TEXT_WIDTH,
            dropout=0.0,
            activation=lambda it: it * torch.sigmoid(1.702 * it),
            batch_first=True,
            norm_first=True,
        )
        prefix = f"transformer.resblocks.{layer}."
        oracle.load_state_dict(
            {
                theirs + kind: weights[prefix + ours + kind]
                for ours, theirs in names.items()
                for kind in ("weight", "bias")
            }
        )
        x = oracle(x, src_mask=mask)
    x = F.layer_norm(x[0, -1], (TEXT_WIDTH,), weights["ln_final.weight"], weights["ln_final.bias"])
    assert torch.allclose(clip.encode_text(weights, clip.PROMPTS[0]), x @ weights["text_projection"], atol=1e-4)


def test_attention_pool_equals_torch_attention(weights: dict[str, Tensor]) -> None:
    features = torch.randn(1, 256, 3, 5, generator=torch.Generator().manual_seed(1))
    tokens = features.flatten(2).permute(2, 0, 1)
    tokens = torch.cat([tokens.mean(0, keepdim=True), tokens])
    part = {name.removeprefix("visual.attnpool."): it for name, it in weights.items() if "attnpool" in name}
    expected, _ = F.multi_head_attention_forward(
        tokens[:1],
        tokens,
        tokens,
        256,
        256 // 64,
        None,
        torch.cat([part[f"{kind}_proj.bias"] for kind in "qkv"]),
        None,
        None,
        False,
        0.0,
        part["c_proj.weight"],
        part["c_proj.bias"],
        use_separate_proj_weight=True,
        q_proj_weight=part["q_proj.weight"],
        k_proj_weight=part["k_proj.weight"],
        v_proj_weight=part["v_proj.weight"],
    )
    assert torch.allclose(clip._attention_pool(weights, features), expected[0, 0], atol=1e-5)


def test_a_stride_is_a_mean_of_four_pixels_in_both_branches(weights: dict[str, Tensor]) -> None:
    x = torch.rand(1, 32, 6, 8, generator=torch.Generator().manual_seed(2))
    name = "visual.layer2.0"

    def norm(value: Tensor, part: str) -> Tensor:
        w, b, mean, var = (
            weights[f"{name}.{part}.{kind}"].view(-1, 1, 1)
            for kind in ("weight", "bias", "running_mean", "running_var")
        )
        return (value - mean) / (var + 1e-5).sqrt() * w + b

    y = norm(F.conv2d(x, weights[f"{name}.conv1.weight"]), "bn1").relu()
    y = norm(F.conv2d(y, weights[f"{name}.conv2.weight"], padding=1), "bn2").relu()
    y = norm(F.conv2d(F.avg_pool2d(y, 2), weights[f"{name}.conv3.weight"]), "bn3")
    shortcut = norm(F.conv2d(F.avg_pool2d(x, 2), weights[f"{name}.downsample.0.weight"]), "downsample.1")
    assert torch.allclose(clip._bottleneck(weights, x, name, stride=2), (y + shortcut).relu(), atol=1e-4)


@pytest.mark.usefixtures("stored")
def test_the_score_is_the_share_of_the_good_caption(device: torch.device, weights: dict[str, Tensor]) -> None:
    image = picture()
    embedding = clip.encode_image(weights, image)
    good, bad = (
        100 * F.cosine_similarity(embedding, clip.encode_text(weights, prompt), dim=0) for prompt in clip.PROMPTS
    )
    assert clip_iqa(image.to(device)) == pytest.approx(float(torch.sigmoid(good - bad)), abs=1e-3)


@pytest.mark.usefixtures("stored")
def test_any_size_and_a_video_is_the_mean_of_its_frames() -> None:
    for size in ((32, 32), (33, 71)):
        assert 0 <= clip_iqa(picture(*size)) <= 1
    video = torch.stack([picture(seed=1), picture(seed=2) * 0.2])
    assert clip_iqa(video) == pytest.approx((clip_iqa(video[0]) + clip_iqa(video[1])) / 2, abs=1e-5)
    assert 0 <= clip_iqa(torch.zeros(3, 32, 32)) <= 1


def test_reads_a_published_archive(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.jit.script(nn.Linear(3, 2).half()).save(str(tmp_path / "clip.pt"))
    loaded = clip.load_clip(tmp_path / "clip.pt")
    assert set(loaded) == {"weight", "bias"}
    assert loaded["weight"].dtype == torch.float32


def test_missing_weights_are_a_reason_with_a_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOCTURNE_OUT", str(tmp_path))
    monkeypatch.setenv("NOCTURNE_WEIGHTS", str(tmp_path))
    said = score_or_reason(lambda: clip_iqa(picture()))
    assert isinstance(said, str)
    assert said.startswith("not run: the weights clip_iqa ")
    assert said.endswith("nocturne weights clip_iqa --download")


def test_bad_input_is_answered_in_one_sentence() -> None:
    image = picture()
    for wrong, complaint in (
        (image * float("nan"), "finite"),
        (image[:1], "RGB"),
        (image[:, :31], "at least 32 pixels"),
        (image[:, :0], "at least one pixel"),
    ):
        with pytest.raises(ShapeError, match=complaint):
            clip_iqa(wrong)
