"""Algorithm 1: reference results, identities, rules, padding, settings and bad input."""

import pytest
import torch

from lib.context_fusion import (
    ImageSettings,
    change_from_reference,
    feather,
    fuse_image,
    larger_gradient,
    luma_gradient_energy,
    mix_gradients,
    mixed_divergence,
    pad_to_power_of_two,
    reconstruct,
    strong_gradient_or_light,
)
from lib.errors import ShapeError, SpecError
from lib.solvers.poisson import divergence, gradient

CASES = {
    "max": ImageSettings(rule="max", feather_px=0),
    "threshold": ImageSettings(feather_px=0),
    "reference": ImageSettings(rule="reference", feather_px=0),
    "threshold_feather2": ImageSettings(),
    "reference_feather2": ImageSettings(rule="reference"),
    "threshold_blackpad": ImageSettings(feather_px=0, padding="black"),
}


def picture(*size, seed=0, dtype=torch.float32):
    return torch.rand(3, *size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", CASES)
def test_agrees_with_the_reference_cases(golden, name, dtype):
    data = golden("fusion/fusion.npz")

    def image(array):
        return torch.from_numpy(array).permute(2, 0, 1).to(dtype) / 255

    fusion = fuse_image(
        image(data["night_clip"][6]),
        image(data["day"]),
        reference=image(data["night_reference"]),
        settings=CASES[name],
    )
    # stored as float32 of 0..255 and not clipped
    expected = torch.from_numpy(data[f"alg1_{name}_out"]).permute(2, 0, 1).double().clamp(0, 255)
    tolerance = 2e-5 if dtype == torch.float64 else 0.02
    torch.testing.assert_close(fusion.image.double() * 255, expected, rtol=0, atol=tolerance)
    if f"alg1_{name}_W" in data:
        weight = torch.from_numpy(data[f"alg1_{name}_W"])
        torch.testing.assert_close(fusion.importance.double(), weight, rtol=0, atol=1e-6)


# black padding has W = 0 in the margin, so that the step into the top and left border is the day's: no identity
@pytest.mark.parametrize("padding", ["none", "replicate"])
@pytest.mark.parametrize("size", [(24, 31), (1, 9), (9, 1), (1, 1)])
def test_whole_importance_gives_the_night_and_none_the_day(padding, size):
    night, day = picture(*size, dtype=torch.float64), picture(*size, seed=1, dtype=torch.float64)
    settings = ImageSettings(padding=padding)
    for weight, wanted in ((torch.ones(size).double(), night), (torch.zeros(size).double(), day)):
        got = reconstruct(night, day, weight, settings)
        difference = got - wanted
        assert (difference - difference.mean((-2, -1), keepdim=True)).abs().max() < 1e-9


def test_no_importance_gives_the_day_with_black_padding_too():
    night, day = picture(24, 31, dtype=torch.float64), picture(24, 31, seed=1, dtype=torch.float64)
    difference = reconstruct(night, day, torch.zeros(24, 31).double(), ImageSettings(padding="black")) - day
    assert (difference - difference.mean((-2, -1), keepdim=True)).abs().max() < 1e-9


@pytest.mark.parametrize("rule", ["max", "threshold", "reference"])
def test_fusing_a_picture_with_itself_returns_it(rule):
    image = picture(30, 40)
    fused = fuse_image(image, image, reference=image * 0.5, settings=ImageSettings(rule=rule)).image
    assert (fused - image).abs().max() * 255 < 0.5


def test_result_does_not_depend_on_the_solver():
    night, day = picture(45, 51), picture(45, 51, seed=1)
    exact = fuse_image(night, day).image
    paper = fuse_image(night, day, settings=ImageSettings(solver="multigrid", multigrid_cycles=4)).image
    assert (exact - paper).abs().max() * 255 < 0.5


def test_colour_fit_off_keeps_the_mean_only():
    night, day = picture(20, 20), picture(20, 20, seed=1)
    fusion = fuse_image(night * 0.2, day * 0.5 + 0.2, settings=ImageSettings(colour_fit=False))
    assert fusion.image.mean() == pytest.approx(float(fusion.target.mean()), abs=2e-3)


def test_rules_by_hand():
    night, day = torch.zeros(3, 1, 4), torch.zeros(3, 1, 4)
    night[:, 0, 1] = 0.2  # edges of 51 grey levels at 0 and 1
    day[:, 0, 3] = 0.9  # edge at 2
    assert larger_gradient(night, day).tolist() == [[1, 1, 0, 1]]  # the tie in the last column goes to the night
    assert strong_gradient_or_light(night, ImageSettings()).tolist() == [[1, 1, 0, 0]]
    assert strong_gradient_or_light(day, ImageSettings()).tolist() == [[0, 0, 1, 1]]  # light above 128
    change = change_from_reference(night, torch.full_like(night, 40 / 255), ImageSettings())
    torch.testing.assert_close(change, torch.tensor([[0.5, 0.0, 0.5, 0.5]]), atol=1e-5, rtol=0)


def test_feather_keeps_constants_and_forms_agree():
    assert torch.allclose(feather(torch.ones(5, 40), sigma_px=2.0), torch.tensor(1.0))
    weight = (picture(13, 50)[0] > 0.5).double()
    assert feather(weight, sigma_px=0) is weight
    tensor_form = feather(weight.clone().requires_grad_(), sigma_px=3.0).detach()
    torch.testing.assert_close(feather(weight, sigma_px=3.0), tensor_form)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (9, 12)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_compiled_kernels_equal_the_tensor_forms(size, dtype):
    night, day, weight = picture(*size, dtype=dtype), picture(*size, seed=1, dtype=dtype), picture(*size, seed=2)[0]
    weight = weight.to(dtype)
    torch.testing.assert_close(mixed_divergence(night, day, weight), divergence(*mix_gradients(night, day, weight)))
    luma = 0.299 * night[0] + 0.587 * night[1] + 0.114 * night[2]
    gx, gy = gradient(luma)
    torch.testing.assert_close(luma_gradient_energy(night), gx**2 + gy**2)


def test_padding_centres_on_the_next_power_of_two():
    pictures, (rows, columns) = pad_to_power_of_two([torch.ones(3, 40, 56)], "black")
    assert pictures[0].shape == (3, 64, 64)
    assert (rows, columns) == (slice(12, 52), slice(4, 60))
    assert pictures[0].sum() == 3 * 40 * 56
    assert pad_to_power_of_two([torch.ones(1, 64, 64)], "replicate")[0][0].shape == (1, 64, 64)


def test_registration_option_moves_the_day():
    from lib.context_fusion.registration import translate

    day = torch.nn.functional.interpolate(picture(12, 16)[None], size=(96, 128), mode="bicubic")[0].clamp(0, 1)
    night = translate(day, 1.5, -0.75) * 0.4
    registered = fuse_image(night, day, settings=ImageSettings(rule="max", register=True)).target
    plain = fuse_image(night, day, settings=ImageSettings(rule="max")).target
    wanted = translate(day, 1.5, -0.75)
    inner = (slice(None), slice(8, -8), slice(8, -8))
    assert (registered - wanted)[inner].abs().mean() < 0.8 * (plain - wanted)[inner].abs().mean()


def test_every_device_agrees(device):
    night, day = picture(24, 36), picture(24, 36, seed=1)
    for settings in (ImageSettings(), ImageSettings(rule="max", padding="black")):
        fused = fuse_image(night.to(device), day.to(device), settings=settings).image
        assert (fused.cpu() - fuse_image(night, day, settings=settings).image).abs().max() * 255 < 0.1


@pytest.mark.parametrize(
    ("night", "words"),
    [
        (torch.zeros(3, 8, 9), "share a grid"),
        (torch.zeros(3, 8, 8, dtype=torch.float64), "dtype and device"),
        (torch.zeros(1, 8, 8), "RGB with 3 channels: got 1"),
        (torch.zeros(4, 8, 8), "RGB with 3 channels: got 4"),
        (torch.zeros(8, 8), "3 axes"),
        (torch.full((3, 8, 8), float("nan")), "finite"),
        (torch.full((3, 8, 8), 255.0), "divide 8-bit pictures by 255"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), "float tensor"),
        (torch.zeros(3, 0, 8), "at least one pixel"),
    ],
)
def test_bad_input_is_one_sentence(night, words):
    with pytest.raises(ShapeError, match=words):
        fuse_image(night, torch.zeros(3, 8, 8))


def test_rule_reference_needs_a_reference():
    with pytest.raises(SpecError, match="empty night picture"):
        fuse_image(torch.zeros(3, 8, 8), torch.zeros(3, 8, 8), settings=ImageSettings(rule="reference"))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"rule": "maximum"}, "max, threshold, reference"),
        ({"padding": "white"}, "none, black, replicate"),
        ({"solver": "cg"}, "dct, multigrid"),
        ({"feather_px": -1.0}, "at least 0"),
        ({"gradient_threshold": float("nan")}, "at least 0"),
        ({"multigrid_cycles": 0}, "at least 1"),
        ({"reference_high": 20.0}, "above reference_low"),
    ],
)
def test_wrong_settings_are_one_sentence(wrong, words):
    with pytest.raises(SpecError, match=words):
        ImageSettings(**wrong)


def test_paper_settings():
    paper = ImageSettings.paper()
    assert (paper.padding, paper.solver, paper.feather_px) == ("black", "multigrid", 0.0)
