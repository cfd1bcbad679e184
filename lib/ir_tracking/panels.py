"""What a reader of the walkthrough moves: the frame of a scan that was followed, played back."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.ir_tracking.walkthrough import Follow, crop_around
from lib.show.canvas import PALETTE
from lib.show.panel import Slider, captioned

REACH_PX = 20  # to each side of the target
ZOOM = 8
BOX_MARGIN_PX = 2.0  # between a small target and the line around it, frame pixels
WHOLE_MARGIN_PX = 6.0  # the same in the whole frame
DASH_PX = 4
LOW, HIGH = 0.001, 0.999  # quantiles of a frame that are drawn black and white
TRUTH, SEEN, UNSEEN = PALETTE[4], PALETTE[5], PALETTE[2]


def replay_sliders(num_frames: int) -> list[Slider]:
    """The frame, which plays."""
    return [Slider("frame", "frame", 0, num_frames - 1, 0, plays=True)]


def replayed(frames: Tensor, followed: Follow, values: Mapping[str, float]) -> bytes:
    """One frame of a scan with the way so far, and the place around the first target: the bytes of a JPEG file.

    frames: (T, 1, H, W), any range. values: the frame. Yellow: what the tracker sees; red: where it goes on unseen;
    blue and dashed: the truth, where the target is visible.
    """
    number = int(values["frame"])
    frame = _stretched(frames[number, 0])
    centre = followed.truths[number, 0]
    if not bool(centre.isfinite().all()):
        centre = followed.boxes[number, 0]
    part, inside = crop_around(frame, centre, reach_px=REACH_PX)
    near = part[None].expand(3, -1, -1).repeat_interleave(ZOOM, 1).repeat_interleave(ZOOM, 2).clone()
    shift = inside - centre
    scale = near.shape[-2] / frame.shape[-2]
    size = (near.shape[-2], round(frame.shape[-1] * scale))
    whole = F.interpolate(frame[None, None], size=size, mode="bilinear")[0].expand(3, -1, -1).clone()
    for target in range(followed.boxes.shape[1]):
        _draw_way(whole, followed, number, target, scale=scale)
        seen = bool(followed.seen[number, target])
        box = followed.boxes[number, target]
        colour = SEEN if seen else UNSEEN
        _outline(whole, scale * _grown(box, WHOLE_MARGIN_PX), colour)
        _outline(near, ZOOM * _grown(box + shift, BOX_MARGIN_PX), colour)
        if bool(followed.visible[number, target]):
            truth = followed.truths[number, target] + shift
            _outline(near, ZOOM * _grown(truth, BOX_MARGIN_PX + 1), TRUTH, dash_px=DASH_PX)
    return captioned({_state(followed, number): whole, _distance(followed, number): near})


def _state(followed: Follow, number: int) -> str:
    parts = [
        f"{'seen' if bool(seen) else 'carried on unseen'}, score {float(score):.2f}"
        for seen, score in zip(followed.seen[number], followed.scores[number], strict=True)
    ]
    return f"frame {number}: {'; '.join(parts)}"


def _distance(followed: Follow, number: int) -> str:
    if not bool(followed.visible[number, 0]):
        return "target weak or hidden"
    return f"error {float(followed.errors[number, 0]):.1f} px"


def _draw_way(picture: Tensor, followed: Follow, number: int, target: int, *, scale: float) -> None:
    """Dots where the tracker believed the target to be, up to a frame, into a picture (3, h, w)."""
    centres = scale * (followed.boxes[: number + 1, target, :2] + followed.boxes[: number + 1, target, 2:] / 2)
    for (x, y), seen in zip(centres.tolist(), followed.seen[: number + 1, target].tolist(), strict=True):
        row, column = max(round(y), 0), max(round(x), 0)
        picture[:, row : row + 2, column : column + 2] = _colour(SEEN if seen else UNSEEN)[..., None]


def _outline(picture: Tensor, box: Tensor, colour: str, *, dash_px: int = 0) -> None:
    """The rim of a box x, y, w, h, two pixels wide, into a picture (3, h, w), as far as it lies in it."""
    height, width = picture.shape[-2:]
    left, top, right, bottom = (round(value) for value in (*box[:2].tolist(), *(box[:2] + box[2:]).tolist()))
    rows, columns = torch.arange(height)[:, None], torch.arange(width)
    inside = (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
    core = (rows >= top + 2) & (rows < bottom - 2) & (columns >= left + 2) & (columns < right - 2)
    rim = inside & ~core
    if dash_px:
        rim &= (rows + columns) // dash_px % 2 == 0
    picture[:, rim] = _colour(colour)


def _grown(box: Tensor, margin_px: float) -> Tensor:
    return box + box.new_tensor([-margin_px, -margin_px, 2 * margin_px, 2 * margin_px])


def _colour(name: str) -> Tensor:
    from matplotlib.colors import to_rgb

    return torch.tensor(to_rgb(name)).view(3, 1)


def _stretched(frame: Tensor) -> Tensor:
    """A frame (H, W) within 0..1, on the CPU, its darkest and brightest pixels cut off."""
    plane = frame.detach().float().cpu()
    low, high = plane.flatten().quantile(torch.tensor([LOW, HIGH])).tolist()
    return ((plane - low) / max(high - low, 1e-9)).clamp(0, 1)
