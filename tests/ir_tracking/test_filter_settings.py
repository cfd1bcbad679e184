import pytest

from lib.errors import SpecError
from lib.ir_tracking.settings import FilterSettings


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("line_length_px", 10),
        ("line_length_px", 1),
        ("line_length_px", 11.0),
        ("directions", 6),
        ("directions", True),
        ("opening_px", 0),
        ("opening_px", 2.5),
        ("opening_px", True),
        ("polarity", "both"),
    ],
)
def test_settings_out_of_range_are_refused(field, value):
    with pytest.raises(SpecError, match=f"{field} must be"):
        FilterSettings(**{field: value})


def test_oversampled_frames_take_longer_lines():
    assert FilterSettings.oversampled().line_length_px > FilterSettings().line_length_px
