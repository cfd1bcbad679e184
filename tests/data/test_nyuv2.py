"""NYUv2 reader: MATLAB file and folders made here, the class maps against golden, the real pictures where they are."""

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from lib.data.hha import NYUV2, hha_encode
from lib.data.images import write_image
from lib.data.nyuv2 import CROP_LEFT, CROP_TOP, MAT_NAME, NYUDv2, cropped
from lib.data.nyuv2_classes import (
    CLASS_NAMES,
    RAW_TO_CLASS,
    SUPERCLASS_NAMES,
    SUPERCLASSES,
    TEST,
    TRAIN,
    class_names,
    to_superclasses,
)
from lib.errors import DataMissing, ShapeError, SpecError

SIZE = (12, 16)


def matlab_file(folder: Path, count: int = 8, size: tuple[int, int] = SIZE) -> tuple[Path, dict[str, np.ndarray]]:
    """A file as MATLAB writes it: arrays (H, W, 3, N) and (H, W, N) with their axes reversed."""
    rng = np.random.default_rng(0)
    height, width = size
    arrays = {
        "images": rng.integers(0, 256, (height, width, 3, count), dtype=np.uint8),
        "labels": rng.integers(0, 895, (height, width, count), dtype=np.uint16),
        "depths": rng.uniform(1, 5, (height, width, count)).astype(np.float32),
    }
    arrays["rawDepths"] = np.where(rng.random((height, width, count)) < 0.2, 0, arrays["depths"]).astype(np.float32)
    path = folder / MAT_NAME
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array.transpose(), chunks=(1, *array.transpose().shape[1:]))
    return path, arrays


def gupta_folder(root: Path, numbers: tuple[int, ...], *, hha: bool = True) -> None:
    from scipy.io import savemat

    for part in ("data/images", "segmentation") + (("data/hha",) if hha else ()):
        (root / part).mkdir(parents=True)
    for number in numbers:
        name = f"img_{5000 + number}"
        write_image(root / "data/images" / f"{name}.png", torch.full((3, *SIZE), 0.4))
        values = np.arange(12 * 16).reshape(SIZE) % 41
        savemat(root / "segmentation" / f"{name}.mat", {"segmentation": values.astype(np.uint8)})
        if hha:
            write_image(root / "data/hha" / f"{name}.png", torch.full((3, *SIZE), number / 255))


def plain_folder(root: Path, labels: str, values: np.ndarray) -> None:
    for part in ("rgb", labels):
        (root / part).mkdir(parents=True)
    write_image(root / "rgb" / "000464.png", torch.full((3, *SIZE), 0.4))
    Image.fromarray(values).save(root / labels / "000464.png")


def test_class_tables_equal_golden(golden) -> None:
    maps = golden("segmentation/nyuv2_maps.json")
    assert [0 if value == 255 else value + 1 for value in RAW_TO_CLASS] == maps["map894_to_40"]
    assert [0, *(value + 1 for value in SUPERCLASSES)] == maps["map40_to_4"]
    assert list(CLASS_NAMES) == maps["names40"]
    assert list(SUPERCLASS_NAMES) == maps["names4"]
    assert list(TRAIN) == maps["train_1based"]
    assert list(TEST) == maps["test_1based"]


def test_class_tables_are_whole() -> None:
    assert (len(TRAIN), len(TEST)) == (795, 654)
    assert len(RAW_TO_CLASS) == 895
    counts = np.bincount(RAW_TO_CLASS[1:])
    assert counts[:37].tolist() == [1] * 37
    assert counts[37:].tolist() == [68, 82, 707]
    assert to_superclasses((0, 255, 1, 39)) == (1, 255, 0, 3)
    assert class_names(4) == SUPERCLASS_NAMES
    with pytest.raises(SpecError, match="40 or 4"):
        class_names(13)


def test_matlab_axes_are_turned_and_labels_mapped(tmp_path: Path) -> None:
    path, arrays = matlab_file(tmp_path)
    for root in (tmp_path, path):
        data = NYUDv2(root, "train")
        assert data.numbers == (3, 4, 5, 6, 7, 8)
        assert len(data.missing) == 795 - 6
    item = data[1]
    assert item.name == data.names[1] == "000004"
    expected = torch.from_numpy(arrays["images"][..., 3].transpose(2, 0, 1)) / 255
    torch.testing.assert_close(item.image, expected, rtol=0, atol=1e-7)
    assert torch.equal(item.labels, torch.tensor(RAW_TO_CLASS)[arrays["labels"][..., 3].astype(np.int64)])
    assert item.depth is not None
    assert torch.equal(item.depth[0], torch.from_numpy(arrays["depths"][..., 3]))
    assert item.hha is None
    four = NYUDv2(path, "train", num_classes=4)
    table = torch.tensor([*SUPERCLASSES, *[255] * 216])
    assert torch.equal(four[1].labels, table[item.labels])
    assert four.class_names == SUPERCLASS_NAMES
    assert NYUDv2(path, "test").numbers == (1, 2)
    assert len(NYUDv2(path, "all")) == 8


def test_hha_of_the_matlab_file_uses_raw_depth_and_the_crops_camera(tmp_path: Path) -> None:
    path, arrays = matlab_file(tmp_path, count=1, size=(480, 640))
    item = NYUDv2(path, "all", hha=True)[0]
    assert item.image.shape == (3, 425, 560)
    assert item.labels.shape == (425, 560)
    assert (CROP_TOP, CROP_LEFT) == (45, 40)
    whole = torch.from_numpy(arrays["images"][..., 0].transpose(2, 0, 1)) / 255
    torch.testing.assert_close(item.image, whole[:, 45:470, 40:600], rtol=0, atol=1e-7)
    depth, raw = (cropped(torch.from_numpy(arrays[name][..., 0]))[None] for name in ("depths", "rawDepths"))
    expected = hha_encode(depth, raw_depth=raw, camera=NYUV2.cropped(top=45, left=40))
    assert item.hha is not None
    assert torch.equal(item.hha, expected)
    full = NYUDv2(path, "all", crop=False)[0]
    assert full.image.shape == (3, 480, 640)


def test_workers_read_the_matlab_file_in_their_own_processes(tmp_path: Path) -> None:
    data = NYUDv2(matlab_file(tmp_path)[0], "train")
    here = [data[idx] for idx in range(len(data))]  # the handle of this process is open when workers fork
    loaded = list(DataLoader(data, batch_size=None, num_workers=2))
    assert [item.name for item in loaded] == data.names
    assert all(torch.equal(a.labels, b.labels) for a, b in zip(here, loaded, strict=True))
    assert torch.equal(pickle.loads(pickle.dumps(data))[2].image, here[2].image)


def test_damaged_matlab_files_have_clear_answers(tmp_path: Path) -> None:
    path, _ = matlab_file(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataMissing, match=r"cut off or no MATLAB 7\.3 file.*Silberman"):
        NYUDv2(tmp_path)
    path.write_bytes(b"not a MATLAB file")
    with pytest.raises(DataMissing, match="cut off or no MATLAB"):
        NYUDv2(path)
    with pytest.raises(DataMissing, match=r"there is no .*absent\.mat"):
        NYUDv2(tmp_path / "absent.mat")
    with h5py.File(path, "w") as file:
        file["images"] = np.zeros((2, 3, 16, 12), np.uint8)
    with pytest.raises(DataMissing, match="no variable labels"):
        NYUDv2(path)


def test_labels_out_of_range_and_other_sizes_in_the_matlab_file(tmp_path: Path) -> None:
    path, _ = matlab_file(tmp_path)
    with h5py.File(path, "a") as file:
        file["labels"][3, 0, 0] = 895
    data = NYUDv2(path)
    assert data[0].labels.max() <= 255
    with pytest.raises(ShapeError, match=r"000004 must hold values 0\.\.894: got 895"):
        data[1]
    (tmp_path / "other").mkdir()
    other, _ = matlab_file(tmp_path / "other")
    with h5py.File(other, "a") as file:
        del file["depths"]
        file["depths"] = np.ones((8, 16, 11), np.float32)
    with pytest.raises(ShapeError, match=r"depths of .* must have the shape \(8, 16, 12\)"):
        NYUDv2(other)


def test_a_damaged_picture_of_a_matlab_file_is_named(tmp_path: Path) -> None:
    path, arrays = matlab_file(tmp_path)
    with h5py.File(path, "a") as file:
        del file["images"]
        stack = file.create_dataset("images", data=arrays["images"].transpose(), chunks=(1, 3, 16, 12), compression=9)
        place = stack.id.get_chunk_info_by_coord((4, 0, 0, 0))
    whole = bytearray(path.read_bytes())
    begin = place.byte_offset + 512  # behind MATLAB's header
    whole[begin : begin + place.size] = bytes(place.size)
    path.write_bytes(whole)
    data = NYUDv2(path)
    assert data[1].image.shape == (3, *SIZE)
    with pytest.raises(DataMissing, match="damaged at entry 4 of images; fetch it again"):
        data[2]


def test_guptas_layout(tmp_path: Path) -> None:
    gupta_folder(tmp_path, (3, 4, 9))
    data = NYUDv2(tmp_path, hha=True)
    assert data.numbers == (3, 4)
    item = data[1]
    expected = torch.arange(12 * 16).reshape(SIZE) % 41
    assert torch.equal(item.labels, torch.where(expected == 0, 255, expected - 1))
    assert item.hha is not None
    assert (item.hha * 255).round().unique().tolist() == [4]
    assert NYUDv2(tmp_path, "test").numbers == (9,)
    assert NYUDv2(tmp_path)[0].hha is None


def test_missing_hha_has_a_clear_answer(tmp_path: Path) -> None:
    gupta_folder(tmp_path, (3, 4), hha=False)
    with pytest.raises(DataMissing, match=r"there is no folder .*hha"):
        NYUDv2(tmp_path, hha=True)
    (tmp_path / "data/hha").mkdir()
    write_image(tmp_path / "data/hha" / "img_5003.png", torch.zeros(3, *SIZE))
    with pytest.raises(DataMissing, match=r"no HHA pictures for 1 pictures: img_5004\.png; ask for hha=False"):
        NYUDv2(tmp_path, hha=True)
    write_image(tmp_path / "data/hha" / "img_5004.png", torch.zeros(3, 12, 15))
    with pytest.raises(
        ShapeError, match=r"HHA picture of 000004 must have its picture's size \(12, 16\): got \(12, 15\)"
    ):
        NYUDv2(tmp_path, hha=True)[1]
    (tmp_path / "segmentation" / "img_5003.mat").write_bytes(b"MATLAB 5.0")
    with pytest.raises(DataMissing, match="cannot read segmentation"):
        NYUDv2(tmp_path)[0]


@pytest.mark.parametrize(("labels", "void", "last"), [("labels", 0, 40), ("label40", 255, 39)])
def test_plain_folders_in_both_numberings(tmp_path: Path, labels: str, void: int, last: int) -> None:
    values = np.full(SIZE, void, np.uint8)
    values[0, 0] = last
    plain_folder(tmp_path, labels, values)
    item = NYUDv2(tmp_path, "test")[0]
    assert item.labels[0, 0] == 39
    assert item.labels.flatten()[1:].unique().tolist() == [255]
    with pytest.raises(DataMissing, match="no picture of the split train"):
        NYUDv2(tmp_path, "train")
    Image.fromarray(np.full(SIZE, last + 1, np.uint8)).save(tmp_path / labels / "000464.png")
    with pytest.raises(ShapeError, match=f"or 255 .void.: got {last + 1}"):
        NYUDv2(tmp_path, "test")[0]
    Image.fromarray(np.zeros((12, 15), np.uint8)).save(tmp_path / labels / "000464.png")
    with pytest.raises(ShapeError, match="size 12x16: got 12x15"):
        NYUDv2(tmp_path, "test")[0]


def test_layouts_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="train, test, all"):
        NYUDv2(tmp_path, "val")
    with pytest.raises(DataMissing, match=r"there is no folder .*rgb"):
        NYUDv2(tmp_path)
    plain_folder(tmp_path, "other", np.zeros(SIZE, np.uint8))
    with pytest.raises(DataMissing, match="neither labels/ nor label40/"):
        NYUDv2(tmp_path)


def test_real_pictures(reference: Path) -> None:
    root = reference / "realdata" / "nyuv2"
    if not root.is_dir():
        pytest.skip("no NYUv2 pictures in the reference material")
    data = NYUDv2(root, "test")
    assert data.numbers == (464, 834, 972, 1096)
    sizes = [tuple(item.image.shape[-2:]) for item in data]
    assert sizes == [(425, 560), (468, 625), (468, 625), (468, 625)]
    names = {CLASS_NAMES[value] for value in data[0].labels.unique().tolist() if value != 255}
    assert {"wall", "floor"} <= names
    assert set(NYUDv2(root, "test", num_classes=4)[0].labels.unique().tolist()) <= {0, 1, 2, 3, 255}
