import pytest
import torch

from lib.data.euvp import EUVP, SUBSETS
from lib.data.images import write_image
from lib.data.lol import LOL
from lib.data.pairs import PairedPictures
from lib.errors import DataMissing, ShapeError, SpecError


def fill(folder, names, level=0.5, size=(4, 6)):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        write_image(folder / name, torch.full((3, *size), level))


@pytest.fixture
def lol(tmp_path):
    for split, names in (("our485", ["2.png", "10.png", "1.png"]), ("eval15", ["7.png"])):
        fill(tmp_path / split / "low", names, 0.2)
        fill(tmp_path / split / "high", names, 0.6)
    return tmp_path


def test_lol_pairs_dark_pictures_with_their_references(lol):
    train, test = LOL(lol, "train"), LOL(lol)
    assert (train.names, test.names) == (["1", "2", "10"], ["7"])
    pair = train[2]
    assert pair.name == "10"
    assert pair.image.shape == pair.reference.shape == (3, 4, 6)
    assert pair.image.max() < 0.3 < pair.reference.min()
    assert (pair.origin.kind, pair.origin.name, len(pair.origin.sha256)) == ("benchmark", "LOL 10", 64)
    assert str(lol) not in pair.origin.source


def test_names_negative_indices_and_iteration(lol):
    data = LOL(lol, "train")
    assert data["2"].name == data[1].name == data[-2].name == "2"
    assert [pair.name for pair in data] == data.names
    with pytest.raises(IndexError):
        data[3]
    with pytest.raises(SpecError, match="LOL holds no picture 'x'; its 3 names: 1, 2, 10"):
        data["x"]


def test_lol_without_references_reads_the_dark_pictures_alone(tmp_path):
    fill(tmp_path / "eval15" / "low", ["1.png"])
    assert LOL(tmp_path, references=False)[0].reference is None
    with pytest.raises(DataMissing, match=r"lacks the folder eval15/high/; expected our485/low.*BMVC 2018.*licence"):
        LOL(tmp_path)


def test_a_wrong_tree_says_what_is_missing(tmp_path, lol):
    with pytest.raises(DataMissing, match="not a folder; expected our485"):
        LOL(tmp_path / "none")
    with pytest.raises(DataMissing, match=r"lacks the folder test_samples/Inp/; expected.*RA-L 2020"):
        EUVP(tmp_path)
    (lol / "our485" / "high" / "2.png").unlink()
    with pytest.raises(DataMissing, match=r"our485/high/ lacks the references of 1 pictures: 2\.png"):
        LOL(lol, "train")
    (lol / "eval15" / "low" / "7.png").unlink()
    with pytest.raises(DataMissing, match="holds no picture"):
        LOL(lol)


def test_pairs_of_two_sizes_and_broken_pictures_are_refused_when_read(lol):
    fill(lol / "eval15" / "high", ["7.png"], size=(4, 7))
    with pytest.raises(ShapeError, match="7 and its reference must share a size"):
        LOL(lol)[0]
    (lol / "eval15" / "low" / "7.png").write_bytes(b"no picture")
    with pytest.raises(DataMissing, match="cannot read"):
        LOL(lol)[0]


def test_other_splits_are_refused(lol):
    with pytest.raises(SpecError, match="train, test"):
        LOL(lol, "eval15")
    with pytest.raises(SpecError, match="train, test"):
        EUVP(lol, "all")


def test_euvp_train_joins_its_three_subsets(tmp_path):
    for subset in SUBSETS:
        fill(tmp_path / "Paired" / subset / "trainA", ["a.jpg"])
        fill(tmp_path / "Paired" / subset / "trainB", ["a.png"], 0.7)
    data = EUVP(tmp_path, "train")
    assert data.names == [f"{subset}/a" for subset in SUBSETS]
    assert data["underwater_dark/a"].reference.mean() > 0.6


def test_the_real_euvp_pictures_are_read(reference, tmp_path):
    folder = reference / "realdata" / "underwater" / "euvp_pairs"
    if not folder.is_dir():
        pytest.skip("realdata/underwater is not in the reference material")
    (tmp_path / "test_samples").mkdir()
    (tmp_path / "test_samples" / "Inp").symlink_to(folder / "input")
    (tmp_path / "test_samples" / "GTr").symlink_to(folder / "reference")
    data = EUVP(tmp_path)
    assert len(data) == 16
    assert all(pair.image.shape == pair.reference.shape == (3, 256, 256) for pair in data)
    # the water takes the red, the reference gives it back
    assert all(pair.reference[0].mean() > pair.image[0].mean() for pair in data)
    free = PairedPictures(folder)
    assert free.names == data.names
    assert free[0].origin.kind == "sample"


def test_the_real_lol_inputs_are_read(reference, tmp_path):
    folder = reference / "realdata" / "lowlight" / "lol_eval15_low"
    if not folder.is_dir():
        pytest.skip("realdata/lowlight is not in the reference material")
    (tmp_path / "eval15").mkdir()
    (tmp_path / "eval15" / "low").symlink_to(folder)
    data = LOL(tmp_path, references=False)
    assert data.names[:3] == ["1", "22", "55"]
    assert all(pair.image.mean() < 0.12 for pair in data)
