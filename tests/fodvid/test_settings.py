"""Settings: the paper's constants, and one sentence for each wrong one."""

import pytest

from lib.errors import SpecError
from lib.fodvid.settings import STAND_INS, Settings, for_backbone, paper, stand_in


def test_paper_and_stand_in() -> None:
    assert (paper().alpha, paper().tau, paper().epsilon, paper().backbone) == (0.7, 0.25, 1e-5, "dino_vitb8")
    assert not paper().remove_camera
    assert paper().motion_features == "picture"
    assert paper().finish == "none"
    assert for_backbone("dino_vits16") == Settings(backbone="dino_vits16")
    for name in STAND_INS:
        assert for_backbone(name) == stand_in(name)
        assert stand_in(name).is_stand_in
    assert not paper().is_stand_in
    assert paper().but(tau=0.2).tau == 0.2


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"backbone": "resnet"}, "backbone must be one of dino_vitb8"),
        ({"flow": "spynet"}, "flow must be one of"),
        ({"finish": "snake"}, "finish must be one of none, crf, bilateral"),
        ({"motion_features": "hog"}, "motion_features must be one of"),
        ({"alpha": 1.2}, "alpha must be within 0"),
        ({"tau": float("nan")}, "within -1..1"),
        ({"epsilon": 0.0}, "epsilon must be above 0"),
        ({"height_px": -1}, "height_px must be at least 0"),
        ({"still_px": float("inf")}, "still_px must be at least 0"),
    ],
)
def test_bad_settings(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        Settings().but(**change)
