"""Where a video cuts to another scene: found on dark and noisy frames, blind to motion and to exposure."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.checks import check_image
from lib.errors import ShapeError, SpecError

LUMA = (0.299, 0.587, 0.114)
OPPONENT = ((1.0, -1.0, 0.0), (0.5, 0.5, -1.0))  # red against green, yellow against blue
ROWS = 36  # of the reduced frame; a cell averages the noise away
MAX_COLUMNS = 96
SEARCH = 8  # cells that things may move between two frames: 22 % of the height
WINDOW = 9  # cells, side of what is matched
FLOOR = 1 / 255  # contrast below this is noise
TYPICAL_STRUCTURE, TYPICAL_TONES, TYPICAL_COLOURS = 0.25, 0.085, 0.1  # between motion and cuts, see cut_score
THRESHOLD = 1.25


@dataclass(frozen=True)
class _Reduced:
    """One frame on the coarse grid: brightness (h, w) of mean 0 and deviation 1; tones and colours are sorted values.

    tones: (h * w,) of the brightness. colours: (2, h * w) opponent colours over the mean luma.
    """

    brightness: Tensor
    tones: Tensor
    colours: Tensor


def is_cut(previous: Tensor, frame: Tensor, *, threshold: float = THRESHOLD) -> bool:
    """Whether `frame` (3, H, W), 0..1, shows another scene than `previous` of the same size.

    Source: cut_score. Raises ShapeError for wrong frames, SpecError for a threshold that is not above 0. For a whole
    clip use CutDetector.
    """
    _check_threshold(threshold)
    return cut_score(previous, frame) > threshold


def cut_score(previous: Tensor, frame: Tensor) -> float:
    """How much two frames (3, H, W), 0..1, differ beyond motion and exposure: 0 equal, above 1.25 another scene.

    Both are averaged to 36 rows and set to mean 0 and deviation 1 in luma, which takes out a change of exposure.
    `structure`: mean squared difference of windows of 9x9 cells, each with its best match up to 8 cells away, both
    ways. `tones`, `colours`: Wasserstein-1 distance of the distributions of brightness and of opponent colours over the
    mean luma. The score is sqrt(structure / 0.25 * (tones / 0.085 + colours / 0.1) / 2): high only where places and
    distributions both changed.
    Choice: measured on seven DAVIS sequences, as they are and at a tenth of the light with noise, and on the film of
    the samples: neighbours score at most 0.74 (every third frame, three times as fast: 1.12), 47 cuts at least 1.53.
    The exposure may double or halve as long as it doesn't saturate much of a bright picture. Slow dissolves and changes
    between flat pictures are no cuts.
    """
    check_image("previous", previous)
    check_image("frame", frame)
    if previous.shape != frame.shape:
        raise ShapeError(
            f"previous and frame must share a size: got {tuple(previous.shape)} and {tuple(frame.shape)}; "
            "resize one of them first"
        )
    return _score(_reduced(previous), _reduced(frame))


class CutDetector:
    """Cuts of a video frame by frame: `detector(frame)` is true for the first frame of a new scene.

    The first frame of all is no cut; one of another size than the one before always is.
    Keeps one reduced frame. `score`: of the latest frame, nan where there was none to compare with.
    Raises SpecError for a threshold that is not above 0.
    """

    def __init__(self, *, threshold: float = THRESHOLD) -> None:
        _check_threshold(threshold)
        self.threshold = threshold
        self.score = float("nan")
        self._before: tuple[torch.Size, _Reduced] | None = None

    def __call__(self, frame: Tensor) -> bool:
        """Whether the frame (3, H, W), 0..1, starts a new scene; raises ShapeError for a wrong frame."""
        check_image("frame", frame)
        before, now = self._before, _reduced(frame)
        self._before = (frame.shape, now)
        self.score = float("nan")
        if before is None:
            return False
        if before[0] != frame.shape:
            return True
        self.score = _score(before[1], now)
        return self.score > self.threshold


def _check_threshold(threshold: float) -> None:
    if not threshold > 0:
        raise SpecError(f"threshold must be above 0: got {threshold}")


def _reduced(frame: Tensor) -> _Reduced:
    height, width = frame.shape[-2:]
    rows = min(height, ROWS)
    columns = max(1, min(width, round(rows * width / height), MAX_COLUMNS))
    small = F.adaptive_avg_pool2d(frame.detach().float(), (rows, columns))
    luma = (small * small.new_tensor(LUMA).view(3, 1, 1)).sum(dim=0)
    centred = luma - luma.mean()
    brightness = centred / (centred.square().mean() + FLOOR**2).sqrt()
    colours = small.new_tensor(OPPONENT) @ small.flatten(1) / (luma.mean() + FLOOR)
    return _Reduced(brightness, brightness.flatten().sort().values, colours.sort(dim=1).values)


def _score(first: _Reduced, second: _Reduced) -> float:
    structure = _mismatch(first.brightness, second.brightness) + _mismatch(second.brightness, first.brightness)
    tones = (first.tones - second.tones).abs().mean()
    colours = (first.colours - second.colours).abs().mean(dim=1).sum()
    changed = (tones / TYPICAL_TONES + colours / TYPICAL_COLOURS) / 2
    return float((structure / 2 / TYPICAL_STRUCTURE * changed).sqrt())


def _mismatch(first: Tensor, second: Tensor) -> Tensor:
    """Mean over windows of `first` (h, w) of the squared difference to their best match in `second`, a scalar."""
    height, width = first.shape
    padded = F.pad(second[None, None], (SEARCH,) * 4, mode="replicate")
    # (1, h * w, shifts): every shift of the second frame as one column
    shifted = F.unfold(padded, (height, width))[0].T.reshape(-1, 1, height, width)
    window = (min(WINDOW, height), min(WINDOW, width))
    step = (max(1, window[0] // 2), max(1, window[1] // 2))
    return F.avg_pool2d((shifted - first).square(), window, step).amin(dim=0).mean()
