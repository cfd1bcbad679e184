"""CLIP-IQA: how much a picture looks like a "Good photo." to CLIP. Source: Wang et al. 2023; Zero-TIG fact sheet 9.

Written here, because torchmetrics needs two more packages for it and downloads the network unasked. The two encoders
are functions of the published file's tensors, which keep their names: CLIP with ResNet-50 (Radford et al. 2021).
"""

import warnings
from functools import lru_cache
from itertools import count
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.data.weights import weights_file
from lib.errors import ShapeError
from lib.metrics.measure import Measure
from lib.metrics.planes import check_pictures

CLIP_IQA = Measure(
    "CLIP-IQA",
    "1",
    "higher",
    1.0,
    'CLIP ResNet-50 without positional embedding, "Good photo." against "Bad photo.", softmax of 100 x cosine',
)

# start, word, photo, full stop, end in CLIP's byte-pair vocabulary
PROMPTS = ((49406, 886, 1125, 269, 49407), (49406, 2103, 1125, 269, 49407))
MEAN = (0.48145466, 0.4578275, 0.40821073)  # of CLIP's training pictures
DEVIATION = (0.26862954, 0.26130258, 0.27577711)
TEMPERATURE = 100.0
HEAD_WIDTH = 64  # channels of one attention head, in both encoders
MIN_SIDE_PX = 32

Weights = dict[str, Tensor]


@torch.no_grad()
def clip_iqa(image: Tensor) -> float:
    """Probability, 0..1, that CLIP finds "Good photo." the better caption than "Bad photo."; needs no reference.

    image: (3, H, W) or (T, 3, H, W), clipped to 0..1, at least 32 pixels a side; not resized, a video gives the mean
        over its frames.
    Protocol: cosine of the picture with each caption, softmax over 100 times both. The attention pool goes without its
    positional embedding, so that any size will do.
    Raises ShapeError for a smaller picture or numbers that are not finite; Unavailable, with the cure, when the
    weights `clip_iqa` are missing.
    """
    check_pictures(image=image)
    if min(image.shape[-2:]) < MIN_SIDE_PX:
        raise ShapeError(f"CLIP-IQA needs at least {MIN_SIDE_PX} pixels a side: got {tuple(image.shape[-2:])}")
    weights = _weights_on(image.device)
    captions = torch.stack([encode_text(weights, prompt) for prompt in PROMPTS])
    frames = image.reshape(-1, *image.shape[-3:])
    pictures = torch.stack([encode_image(weights, frame.clamp(0, 1).float()) for frame in frames])
    cosines = F.normalize(pictures, dim=-1) @ F.normalize(captions, dim=-1).T
    return float((TEMPERATURE * cosines).softmax(-1)[:, 0].mean())


def encode_image(weights: Weights, image: Tensor) -> Tensor:
    """CLIP's embedding (E,) of one picture (3, H, W), 0..1."""
    mean, deviation = (image.new_tensor(it).view(3, 1, 1) for it in (MEAN, DEVIATION))
    x = ((image - mean) / deviation).unsqueeze(0)
    for layer, stride in ((1, 2), (2, 1), (3, 1)):
        x = _conv_norm(weights, x, f"visual.conv{layer}", f"visual.bn{layer}", stride=stride, padding=1).relu()
    x = F.avg_pool2d(x, 2)
    for stage in range(1, 5):
        for block in count():
            name = f"visual.layer{stage}.{block}"
            if f"{name}.conv1.weight" not in weights:
                break
            x = _bottleneck(weights, x, name, stride=2 if stage > 1 and block == 0 else 1)
    return _attention_pool(weights, x)


def encode_text(weights: Weights, tokens: tuple[int, ...]) -> Tensor:
    """CLIP's embedding (E,) of a caption, given as tokens from start to end.

    Later positions never reach earlier ones, so that what pads the caption behind its end need not be computed.
    """
    table = weights["token_embedding.weight"]
    x = table[torch.tensor(tokens, device=table.device)] + weights["positional_embedding"][: len(tokens)]
    for layer in count():
        name = f"transformer.resblocks.{layer}"
        if f"{name}.ln_1.weight" not in weights:
            break
        q, k, v = _linear(weights, _layer_norm(weights, x, f"{name}.ln_1"), f"{name}.attn.in_proj_").chunk(3, dim=-1)
        x = x + _linear(weights, _attend(q, k, v, is_causal=True), f"{name}.attn.out_proj.")
        hidden = _linear(weights, _layer_norm(weights, x, f"{name}.ln_2"), f"{name}.mlp.c_fc.")
        x = x + _linear(weights, hidden * torch.sigmoid(1.702 * hidden), f"{name}.mlp.c_proj.")  # the quick GELU
    return _layer_norm(weights, x[-1], "ln_final") @ weights["text_projection"]


def load_clip(path: str | Path) -> Weights:
    """All tensors of a published CLIP file (TorchScript archive), float32, on the CPU; the names are the authors'."""
    with warnings.catch_warnings():
        # torch calls TorchScript deprecated, but this is the form in which the file is published
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        archive = torch.jit.load(str(path), map_location="cpu")
    return {name: value.float() for name, value in archive.state_dict().items()}


@lru_cache(maxsize=1)
def _weights_on(device: torch.device) -> Weights:
    weights = load_clip(weights_file("clip_iqa").path)
    return {name: value.to(device) for name, value in weights.items()}


def _bottleneck(weights: Weights, x: Tensor, name: str, *, stride: int) -> Tensor:
    """Residual block 1x1, 3x3, 1x1; a stride is a mean over 2x2 pixels before the last convolution of both branches."""
    y = _conv_norm(weights, x, f"{name}.conv1", f"{name}.bn1").relu()
    y = _conv_norm(weights, y, f"{name}.conv2", f"{name}.bn2", padding=1).relu()
    y = _conv_norm(weights, F.avg_pool2d(y, stride) if stride > 1 else y, f"{name}.conv3", f"{name}.bn3")
    if f"{name}.downsample.0.weight" in weights:
        x = F.avg_pool2d(x, stride) if stride > 1 else x
        x = _conv_norm(weights, x, f"{name}.downsample.0", f"{name}.downsample.1")
    return (x + y).relu()


def _attention_pool(weights: Weights, x: Tensor) -> Tensor:
    """The mean over all pixels asks, it and the pixels answer: (1, C, H, W) to (E,)."""
    pixels = x[0].flatten(1).T
    mean = pixels.mean(0, keepdim=True)
    tokens = torch.cat([mean, pixels])
    asked = _linear(weights, mean, "visual.attnpool.q_proj.")
    keys, values = (_linear(weights, tokens, f"visual.attnpool.{kind}_proj.") for kind in "kv")
    return _linear(weights, _attend(asked, keys, values), "visual.attnpool.c_proj.")[0]


def _attend(q: Tensor, k: Tensor, v: Tensor, *, is_causal: bool = False) -> Tensor:
    """Attention with heads of 64 channels over tokens (N, C)."""
    q, k, v = (it.unflatten(-1, (-1, HEAD_WIDTH)).transpose(0, 1) for it in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, is_causal=is_causal).transpose(0, 1).flatten(1)


def _conv_norm(weights: Weights, x: Tensor, conv: str, norm: str, *, stride: int = 1, padding: int = 0) -> Tensor:
    x = F.conv2d(x, weights[f"{conv}.weight"], stride=stride, padding=padding)
    mean, variance = weights[f"{norm}.running_mean"], weights[f"{norm}.running_var"]
    return F.batch_norm(x, mean, variance, weights[f"{norm}.weight"], weights[f"{norm}.bias"])


def _layer_norm(weights: Weights, x: Tensor, name: str) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"])


def _linear(weights: Weights, x: Tensor, prefix: str) -> Tensor:
    return F.linear(x, weights[f"{prefix}weight"], weights[f"{prefix}bias"])
