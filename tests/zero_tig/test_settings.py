"""Settings: what they refuse, and the named readings."""

import pytest

from lib.errors import SpecError
from lib.zero_tig import LossWeights, Settings


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"over": "eq6"}, "over must be one of reflectance, illumination: got 'eq6'"),
        ({"flow": "spynet"}, "flow must be one of raft, raft_small"),
        ({"epochs": 1.5}, "epochs must be a whole number of at least 0"),
        ({"flow_factor": 0}, "flow_factor must be a whole number of at least 1"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"weight_decay": float("nan")}, "weight_decay must be at least 0"),
        ({"exposure": 1.5}, r"exposure must lie within 0..1: got 1.5"),
        ({"largest_factor": 0.5}, "largest_factor must be at least 1 and finite: got 0.5"),
        ({"training_frames": True}, "training_frames must be a whole number"),
    ],
)
def test_wrong_values_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Settings(**wrong)  # type: ignore[arg-type]


def test_negative_loss_weight_is_refused() -> None:
    with pytest.raises(SpecError, match="loss weight color"):
        LossWeights(color=-1.0)


def test_a_dark_picture_keeps_the_readings_of_the_video_and_a_wet_one_does_not() -> None:
    dark, wet = Settings.single_picture(), Settings.single_picture(underwater=True)
    assert dark == Settings(epochs=dark.epochs, learning_rate=1e-4)
    assert wet.underwater
    assert (wet.weights.pix, wet.largest_factor, wet.retinex) == (0, 2.5, "denoised")
    # no choice that is made for water is on elsewhere
    assert (Settings().weights.pix, Settings().largest_factor, Settings().retinex) == (700, 25, "noisy")
    assert Settings(underwater=True).weights == LossWeights()


def test_paper_and_published_code() -> None:
    assert (Settings.paper().flow, Settings.paper().learning_rate, Settings.paper().epochs) == ("raft", 1e-4, 5)
    code = Settings.published_code()
    assert (code.direction, code.reference_quirks, code.learning_rate) == ("forward", True, 3e-4)
