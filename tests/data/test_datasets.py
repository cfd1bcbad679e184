import pytest
import torch
from torch.utils.data import DataLoader

from lib.data import datasets
from lib.data.images import write_image
from lib.errors import DataMissing

INFRARED = ["InfraredSequences", "SIRST", "SmallAircraft", "LSOTBTIR", "KAIST", "OTCBVS", "ImageNetVID"]
SEGMENTATION = ["CamVid", "NYUDv2", "SUNRGBD"]


@pytest.mark.parametrize(
    "name", ["BVIRLV", "BVICoral", "LOL", "EUVP", "FixedCamera", "PairedPictures", *INFRARED, *SEGMENTATION]
)
def test_every_data_set_is_exported_and_says_what_it_expects(name, tmp_path):
    with pytest.raises(DataMissing, match="expected"):
        getattr(datasets, name)(tmp_path / "absent")


def test_a_data_set_feeds_a_torch_loader(tmp_path):
    for part in ("input", "reference"):
        (tmp_path / part).mkdir()
        for index in range(3):
            write_image(tmp_path / part / f"{index}.png", torch.zeros(3, 4, 4))
    loader = DataLoader(datasets.PairedPictures(tmp_path), batch_size=None)
    assert [pair.name for pair in loader] == ["0", "1", "2"]
