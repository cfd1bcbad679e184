"""Class maps in colour: VOC's colours, void left alone, bad input said."""

import pytest
import torch

from lib.errors import ShapeError, SpecError
from lib.show.labels import class_colours, colour_labels, draw_labels


def test_colours_are_those_of_voc() -> None:
    colours = (class_colours(40) * 255).long()
    # aeroplane, bicycle, bird, person (15), tv monitor (20) of the development kit, one place further up
    expected = {0: (128, 0, 0), 1: (0, 128, 0), 2: (128, 128, 0), 14: (192, 128, 128), 19: (0, 64, 128)}
    assert {idx: tuple(colours[idx].tolist()) for idx in expected} == expected
    assert len({tuple(one) for one in colours.tolist()}) == 40


def test_void_is_black_alone_and_clear_in_a_picture() -> None:
    labels = torch.tensor([[0, 1], [255, 1]])
    coloured = colour_labels(labels, 2)
    assert coloured[:, 1, 0].tolist() == [0, 0, 0]
    assert coloured[:, 0, 0].tolist() == class_colours(2)[0].tolist()
    image = torch.full((3, 2, 2), 0.5)
    drawn = draw_labels(image, labels, num_classes=2, strength=0.25)
    assert drawn[:, 1, 0].tolist() == [0.5, 0.5, 0.5]
    torch.testing.assert_close(drawn[:, 0, 1], 0.75 * image[:, 0, 1] + 0.25 * class_colours(2)[1])


def test_bad_input_gets_one_sentence() -> None:
    labels = torch.zeros(2, 3, dtype=torch.long)
    with pytest.raises(ShapeError, match=r"0\.\.1 or 255"):
        colour_labels(labels + 2, 2)
    with pytest.raises(ShapeError, match="size"):
        draw_labels(torch.zeros(3, 2, 2), labels, num_classes=2)
    with pytest.raises(SpecError, match="strength"):
        draw_labels(torch.zeros(3, 2, 3), labels, num_classes=2, strength=2)
    with pytest.raises(SpecError, match="num_classes"):
        class_colours(256)
