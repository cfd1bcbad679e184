import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from lib.data.images import array_from_image, read_image, resized, write_image
from lib.errors import DataMissing, LabError, ShapeError, SpecError


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def levels(image, top=255):
    return (image.permute(1, 2, 0) * top).round().to(torch.int64).numpy()


def test_rgb_png_keeps_every_value(tmp_path, picture):
    Image.fromarray(picture).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert image.shape == (3, 5, 7)
    assert image.dtype == torch.float32
    assert image.is_contiguous()
    assert (levels(image) == picture).all()


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_sixteen_bit_colour_keeps_every_value(tmp_path, suffix):
    deep = np.random.default_rng(0).integers(0, 65536, (5, 7, 3), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / f"a{suffix}"), deep[..., ::-1])
    assert (levels(read_image(tmp_path / f"a{suffix}"), 65535) == deep).all()


def test_sixteen_bit_grey_is_repeated_and_keeps_every_value(tmp_path):
    deep = np.random.default_rng(0).integers(0, 65536, (5, 7), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), deep)
    assert (levels(read_image(tmp_path / "a.png"), 65535) == deep[..., None]).all()


def test_grey_one_bit_and_palette_become_rgb(tmp_path, picture):
    grey = Image.fromarray(picture[..., 0])
    grey.save(tmp_path / "grey.png")
    assert (levels(read_image(tmp_path / "grey.png")) == picture[..., :1]).all()
    grey.convert("1", dither=Image.Dither.NONE).save(tmp_path / "one.png")
    assert set(read_image(tmp_path / "one.png").unique().tolist()) <= {0.0, 1.0}
    palette = Image.fromarray(picture).quantize(256)
    palette.save(tmp_path / "palette.png")
    assert (levels(read_image(tmp_path / "palette.png")) == np.asarray(palette.convert("RGB"))).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_alpha_is_dropped_and_colours_stay(tmp_path, dtype):
    top = np.iinfo(dtype).max
    colours = np.random.default_rng(0).integers(0, top + 1, (5, 7, 4), dtype=dtype)
    colours[..., 3] = 0
    cv2.imwrite(str(tmp_path / "a.png"), colours)
    assert (levels(read_image(tmp_path / "a.png"), top) == colours[..., 2::-1]).all()


def test_exif_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: shown after a quarter turn clockwise
    stored = np.zeros((16, 32, 3), dtype=np.uint8)
    stored[:, :16] = 255
    Image.fromarray(stored).save(tmp_path / "a.jpg", exif=exif, quality=95)
    image = read_image(tmp_path / "a.jpg")
    assert image.shape == (3, 32, 16)
    assert image[:, :12].mean() > 0.95
    assert image[:, 20:].mean() < 0.05


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1)])
def test_smallest_pictures_round_trip(tmp_path, size):
    image = torch.rand(3, *size, generator=torch.Generator().manual_seed(0))
    write_image(tmp_path / "a.png", image)
    assert (read_image(tmp_path / "a.png") - image).abs().max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_lossy_files_come_back_within_a_few_levels(tmp_path, suffix):
    ramp = torch.linspace(0, 1, 64).expand(3, 32, 64)
    write_image(tmp_path / f"a{suffix}", ramp)
    assert (read_image(tmp_path / f"a{suffix}") - ramp).abs().max() < 6 / 255


def test_values_are_rounded_and_overshoot_is_clipped():
    image = torch.tensor([-0.0005, 0.4 / 255, 0.6 / 255, 1.0005]).expand(3, 1, 4)
    assert array_from_image(image)[0, :, 0].tolist() == [0, 0, 1, 255]


@pytest.mark.parametrize("cut", [0, 3, 200])
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_damaged_files_are_one_sentence(tmp_path, cut, suffix, picture):
    path = tmp_path / f"a{suffix}"
    Image.fromarray(np.tile(picture, (8, 8, 1))).save(path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataMissing, match=path.name) as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


def test_missing_file_text_file_folder_and_float_picture(tmp_path):
    with pytest.raises(DataMissing, match="give an existing file"):
        read_image(tmp_path / "none.png")
    with pytest.raises(DataMissing):
        read_image(tmp_path)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(DataMissing, match="unknown format"):
        read_image(tmp_path / "text.png")
    Image.fromarray(np.zeros((2, 2), dtype=np.float32)).save(tmp_path / "f.tiff")
    with pytest.raises(DataMissing, match="floating-point"):
        read_image(tmp_path / "f.tiff")


def test_write_image_refuses_what_it_cannot_store(tmp_path):
    image = torch.zeros(3, 2, 2)
    with pytest.raises(SpecError, match=r"\.png"):
        write_image(tmp_path / "a.xyz", image)
    for wrong in (
        torch.zeros(4, 2, 2),
        torch.zeros(2, 2),
        torch.full((3, 2, 2), float("nan")),
        image + 2,
        image.byte(),
    ):
        with pytest.raises(ShapeError):
            write_image(tmp_path / "a.png", wrong)
    assert list(tmp_path.iterdir()) == []


def test_write_image_leaves_nothing_on_a_full_disk(small_disk):
    noise = torch.rand(3, 400, 400, generator=torch.Generator().manual_seed(0))
    with pytest.raises(LabError, match="disk is full"):
        write_image(small_disk / "a.png", noise)
    assert list(small_disk.iterdir()) == []


def test_write_image_in_a_read_only_folder_is_one_sentence(read_only_folder):
    with pytest.raises(LabError, match=r"read-only|may not be written"):
        write_image(read_only_folder / "a.png", torch.zeros(3, 2, 2))


def test_pictures_and_clips_are_made_smaller_and_never_larger():
    assert resized(torch.zeros(3, 50, 70), 25).shape == (3, 25, 35)
    assert resized(torch.zeros(2, 3, 50, 70), 25).shape == (2, 3, 25, 35)
    assert resized(torch.zeros(3, 50, 70), 51).shape == (3, 50, 70)
