"""SUN RGB-D reader: the published layout and both conversions, made here."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from torch.utils.data import DataLoader

from lib.data.images import write_image
from lib.data.sunrgbd import CLASS_NAMES, SUNRGBD
from lib.errors import DataMissing, ShapeError, SpecError

SIZE = (6, 8)
SCENES = ("kv1/NYUdata/NYU0001", "kv2/kinect2data/000002_x", "xtion/sun3ddata/a/b")


def values(number: int) -> np.ndarray:
    return ((np.arange(48).reshape(SIZE) + number) % 38).astype(np.uint8)


def expected(number: int) -> torch.Tensor:
    stored = torch.from_numpy(values(number).astype(np.int64))
    return torch.where(stored == 0, 255, stored - 1)


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, torch.full((3, *SIZE), 0.5))


def label_file(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values(number)).save(path)


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Three scenes; the first two are for training. The paths in the MATLAB files are of another machine."""
    toolbox = tmp_path / "SUNRGBDtoolbox"
    (toolbox / "Metadata").mkdir(parents=True)
    (toolbox / "traintestSUNRGBD").mkdir()
    kind = [("rgbpath", object), ("rgbname", object), ("depthname", object)]
    meta = np.zeros(3, dtype=kind)
    for idx, scene in enumerate(SCENES):
        picture(tmp_path / "SUNRGBD" / scene / "image" / f"{idx}.jpg")
        depth = tmp_path / "SUNRGBD" / scene / "depth_bfx" / f"{idx}.png"
        depth.parent.mkdir()
        millimetres = 1234 + 3 * idx
        Image.fromarray(np.full(SIZE, (millimetres << 3) & 0xFFFF | millimetres >> 13, np.uint16)).save(depth)
        meta[idx] = (f"/n/fs/sun3d/data/SUNRGBD/{scene}/image/{idx}.jpg", f"{idx}.jpg", f"{idx}.png")
    savemat(toolbox / "Metadata" / "SUNRGBDMeta.mat", {"SUNRGBDMeta": meta})
    paths = [f"/n/fs/sun3d/data/SUNRGBD/{scene}/" for scene in SCENES]
    split = {"alltrain": np.array(paths[:2], dtype=object), "alltest": np.array(paths[2:], dtype=object)}
    savemat(toolbox / "traintestSUNRGBD" / "allsplit.mat", split)
    with h5py.File(toolbox / "Metadata" / "SUNRGBD2Dseg.mat", "w") as file:
        cells = file.create_dataset("SUNRGBD2Dseg/seglabel", (3, 1), dtype=h5py.ref_dtype)
        for idx in range(3):
            cells[idx, 0] = file.create_dataset(f"#refs#/{idx}", data=values(idx).T).ref
    return tmp_path


def test_published_layout(published: Path) -> None:
    train, test = SUNRGBD(published), SUNRGBD(published, "test")
    assert train.names == list(SCENES[:2])
    assert test.names == [SCENES[2]]
    for data, start in ((train, 0), (test, 2)):
        for idx, item in enumerate(DataLoader(data, batch_size=None, num_workers=1)):
            assert torch.equal(item.labels, expected(start + idx))
            assert item.image.shape == (3, *SIZE)
            assert torch.allclose(item.depth, torch.tensor((1234 + 3 * (start + idx)) / 1000))
    assert len(CLASS_NAMES) == train.num_classes == 37
    assert CLASS_NAMES[0] == "wall"
    assert CLASS_NAMES[-1] == "bag"


def test_published_layout_with_parts_missing(published: Path) -> None:
    (published / "SUNRGBD" / SCENES[1] / "depth_bfx" / "1.png").unlink()
    with pytest.raises(DataMissing, match=r"there is no .*1\.png.*Song"):
        SUNRGBD(published)
    labels = published / "SUNRGBDtoolbox" / "Metadata" / "SUNRGBD2Dseg.mat"
    with h5py.File(labels, "a") as file:
        file["#refs#/2"][0, 0] = 38
    with pytest.raises(ShapeError, match=r"label map 3 of SUNRGBD2Dseg\.mat must hold values 0\.\.37 .*got 38"):
        SUNRGBD(published, "test")[0]
    labels.write_bytes(b"cut off")
    with pytest.raises(DataMissing, match=r"cut off or no MATLAB 7\.3 file"):
        SUNRGBD(published, "test")
    (published / "SUNRGBDtoolbox" / "traintestSUNRGBD" / "allsplit.mat").write_bytes(b"no")
    with pytest.raises(DataMissing, match="cannot read alltrain"):
        SUNRGBD(published)


def test_conversion_by_handa(tmp_path: Path) -> None:
    """Labels 1..5050 belong to the test pictures, the following to the training pictures."""
    picture(tmp_path / "SUNRGBD-train_images" / "img-000002.jpg")
    picture(tmp_path / "SUNRGBD-test_images" / "img-000002.jpg")
    label_file(tmp_path / "sunrgbd_train_test_labels" / "img-000002.png", 1)
    label_file(tmp_path / "sunrgbd_train_test_labels" / "img-005052.png", 2)
    assert torch.equal(SUNRGBD(tmp_path, "test")[0].labels, expected(1))
    item = SUNRGBD(tmp_path)[0]
    assert torch.equal(item.labels, expected(2))
    assert item.depth is None
    (tmp_path / "sunrgbd_train_test_labels" / "img-005052.png").unlink()
    with pytest.raises(DataMissing, match=r"no labels for .*img-000002\.jpg"):
        SUNRGBD(tmp_path)


def test_conversion_by_choy(tmp_path: Path) -> None:
    picture(tmp_path / "image" / "train" / "img-000007.jpg")
    label_file(tmp_path / "label37" / "train" / "img37labels-000007.png", 3)
    data = SUNRGBD(tmp_path)
    assert data.names == ["train 7"]
    assert torch.equal(data[0].labels, expected(3))
    Image.fromarray(np.zeros((6, 7), np.uint8)).save(tmp_path / "label37" / "train" / "img37labels-000007.png")
    with pytest.raises(ShapeError, match="size 6x8: got 6x7"):
        data[0]
    with pytest.raises(DataMissing, match="none of the three layouts"):
        SUNRGBD(tmp_path, "test")
    with pytest.raises(SpecError, match="train, test"):
        SUNRGBD(tmp_path, "val")
