import pytest
import torch

from lib.data.fixed_camera import FixedCamera
from lib.data.images import write_image
from lib.errors import DataMissing, SpecError


def make_camera(folder, nights=("n2", "n10"), days=("d1", "d2")):
    for kind, names in (("night", nights), ("day", days)):
        (folder / kind).mkdir(parents=True)
        for index, name in enumerate(names, start=1):
            write_image(folder / kind / f"{name}.png", torch.full((3, 4, 5), index / 255 + (kind == "day") * 0.5))


def test_one_camera_pairs_each_night_with_the_first_day(tmp_path):
    make_camera(tmp_path / "cam")
    data = FixedCamera(tmp_path / "cam", licence="CC0")
    assert (data.cameras, data.names, len(data)) == (["cam"], ["cam/n2", "cam/n10"], 2)
    first = data[0]
    assert (first.name, first.night.shape) == ("cam/n2", (3, 4, 5))
    assert torch.equal(first.day, data[1].day)
    assert torch.equal(first.night, data["cam/n2"].night)
    assert (first.origin.kind, first.origin.licence, len(first.origin.sha256)) == ("sample", "CC0", 64)
    assert str(tmp_path) not in first.origin.source


def test_iteration_ends_and_negative_indices_count_from_the_end(tmp_path):
    make_camera(tmp_path / "cam")
    data = FixedCamera(tmp_path / "cam")
    assert [pair.name for pair in data] == data.names
    assert data[-1].name == "cam/n10"
    with pytest.raises(IndexError):
        data[2]


def test_day_index_chooses_another_day_picture(tmp_path):
    make_camera(tmp_path / "cam")
    assert not torch.equal(FixedCamera(tmp_path / "cam", day_index=1)[0].day, FixedCamera(tmp_path / "cam")[0].day)
    with pytest.raises(SpecError, match=r"0\.\.1 for cam"):
        FixedCamera(tmp_path / "cam", day_index=2)


def test_several_cameras_come_in_order_of_names(tmp_path):
    make_camera(tmp_path / "b")
    make_camera(tmp_path / "a", nights=("x",))
    data = FixedCamera(tmp_path)
    assert (data.cameras, data.names) == (["a", "b"], ["a/x", "b/n2", "b/n10"])


def test_a_wrong_layout_says_what_is_missing(tmp_path):
    with pytest.raises(DataMissing, match="not a folder"):
        FixedCamera(tmp_path / "none")
    with pytest.raises(DataMissing, match="holds no camera"):
        FixedCamera(tmp_path)
    (tmp_path / "night").mkdir()
    with pytest.raises(DataMissing, match=r"holds no picture"):
        FixedCamera(tmp_path)
    write_image(tmp_path / "night" / "a.png", torch.zeros(3, 1, 1))
    with pytest.raises(DataMissing, match=r"day is missing; expected night/ and day/"):
        FixedCamera(tmp_path)


def test_an_unknown_name_lists_the_names(tmp_path):
    make_camera(tmp_path / "cam")
    with pytest.raises(SpecError, match="cam/n2, cam/n10"):
        FixedCamera(tmp_path / "cam")["cam/zzz"]


def test_the_real_pictures_are_read_as_they_lie(reference):
    root = reference / "realdata" / "daynight"
    if not root.is_dir():
        pytest.skip("realdata/daynight is not in the reference material")
    data = FixedCamera(root)
    assert data.cameras == ["courbevoie", "frankfurt", "stlouis"]
    assert len(data) == 7
    for pair in data:
        assert pair.night.shape == pair.day.shape
        assert pair.day.mean() > 0.3
        assert pair.night.mean() < pair.day.mean() + 0.05
