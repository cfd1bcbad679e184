"""Real objects cut out of real pictures that installed packages carry, without labels drawn by hand."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from lib.data.images import array_from_image, read_image
from lib.data.samples import installed_file

Picture = np.ndarray[Any, Any]
# GrabCut's four marks
OUTSIDE, INSIDE, PERHAPS = 0, 1, 3
GRABCUT_ROUNDS = 4
# around and inside the astronaut's body, corners (x, y) in the picture at half its size
BODY_OUTER = ((50, 105), (150, 105), (184, 150), (190, 256), (9, 256), (8, 190), (20, 125))
BODY_INNER = ((60, 120), (150, 125), (165, 160), (165, 256), (20, 256), (18, 190), (30, 140))


@dataclass(frozen=True)
class Cutout:
    """colour: (h, w, 3) float32, RGB, 0..1; matte: (h, w) float32, 0..1, soft; licence: as the source says."""

    colour: Picture
    matte: Picture
    licence: str


def astronaut() -> Cutout:
    """A woman in an orange suit with a helmet in her arms, from the hip up, looking at us; 512x512.

    GrabCut within a rough outline of a head, a ring, a body and a helmet, at half the size.
    """
    import cv2

    picture = _read("astronaut.png")
    small = cv2.resize(picture, (256, 256), interpolation=cv2.INTER_AREA)
    marks = np.full(small.shape[:2], OUTSIDE, np.uint8)
    for mark, ellipses, body in (
        (PERHAPS, (((113, 55), (43, 50), 0), ((105, 110), (54, 42), 20), ((195, 228), (62, 60), 0)), BODY_OUTER),
        (INSIDE, (((111, 60), (26, 32), 0), ((105, 110), (44, 31), 20), ((195, 228), (48, 46), 0)), BODY_INNER),
    ):
        for centre, half_axes, turn in ellipses:
            cv2.ellipse(marks, centre, half_axes, turn, 0, 360, mark, -1)
        cv2.fillPoly(marks, [np.array(body)], mark)
    matte = cv2.resize(grabcut(small, marks), (512, 512), interpolation=cv2.INTER_LINEAR)
    return _cutout(picture, matte, "public domain, NASA")


def motorcycle() -> Cutout:
    """A parked motorcycle from its right side, 500x741; what is nearer than the floor and the wall by its depth map.

    The background shows through its wheels.
    """
    picture = _read("motorcycle_left.png")
    with np.load(_file("motorcycle_disp.npz")) as data:
        disparity = np.nan_to_num(data["arr_0"], posinf=0)
    y, x = np.mgrid[: disparity.shape[0], : disparity.shape[1]]
    # the floor is a plane, seen left, right and in front of the motorcycle; disparity is linear on a plane
    floor = (disparity > 0) & (y > 300) & ((x < 100) | (x > 700) | (y > 460))
    plane = np.stack([x, y, np.ones_like(x)], axis=-1).astype(float)
    fitted, *_ = np.linalg.lstsq(plane[floor], disparity[floor], rcond=None)
    near = disparity > np.maximum(plane @ fitted + 2.5, 40)
    licence = "not stated by scikit-image; Middlebury 2014 stereo benchmark, Scharstein et al."
    return _cutout(picture, largest_piece(near), licence)


def horse() -> Cutout:
    """A horse's silhouette from its right side, 328x400, in the fur of a cat, darker towards its edge and belly."""
    import cv2

    silhouette = 255 - _read("horse.png")[..., 0]
    matte = largest_piece(silhouette > 127)
    fur = _read("chelsea.png")[8:84, 110:320]
    rows = np.pad(fur, ((0, 328 - 76), (0, 400 - 210), (0, 0)), mode="reflect").astype(np.float32)
    depth = cv2.distanceTransform(matte.astype(np.uint8), cv2.DIST_L2, 5)
    round_off = 0.55 + 0.45 * np.sqrt(np.clip(depth / 28, 0, 1))
    light = np.linspace(1.1, 0.7, 328)[:, None]
    shaded = rows * (round_off * light)[..., None]
    licence = "CC0, Andreas Preuss (horse) and Stefan van der Walt (fur)"
    return _cutout(shaded, matte, licence)


def bollard(pavement: Picture) -> Picture:
    """Matte (h, w), 0..1, of the iron bollard in the sample picture `pavement` (272, 640, 3) uint8."""
    import cv2

    marks = np.full(pavement.shape[:2], OUTSIDE, np.uint8)
    cv2.circle(marks, (200, 125), 30, PERHAPS, -1)
    cv2.rectangle(marks, (160, 148), (237, 165), PERHAPS, -1)
    cv2.rectangle(marks, (168, 165), (234, 271), PERHAPS, -1)
    cv2.circle(marks, (200, 125), 25, INSIDE, -1)
    cv2.rectangle(marks, (168, 153), (230, 160), INSIDE, -1)
    cv2.rectangle(marks, (176, 165), (226, 271), INSIDE, -1)
    return soft_edge(grabcut(pavement, marks) > 0.5)


def grabcut(picture: Picture, marks: Picture) -> Picture:
    """Matte (h, w) float32, 0 or 1: the largest piece that GrabCut finds from `marks`, which stay as they are."""
    import cv2

    cv2.setRNGSeed(0)  # its colour models start from random means
    models = np.zeros((1, 65)), np.zeros((1, 65))
    whole = (0, 0, picture.shape[1], picture.shape[0])  # unused where there are marks
    found, _, _ = cv2.grabCut(picture, marks.copy(), whole, *models, GRABCUT_ROUNDS, cv2.GC_INIT_WITH_MASK)
    return largest_piece((found == INSIDE) | (found == PERHAPS)).astype(np.float32)


def largest_piece(mask: Picture) -> Picture:
    """The largest connected piece of a mask (h, w), bool, with its pinholes closed."""
    import cv2

    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(closed)
    return labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())


def soft_edge(mask: Picture) -> Picture:
    """Matte (h, w) float32 with an edge of about two pixels."""
    import cv2

    return cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.8)


def _cutout(picture: Picture, mask: Picture, licence: str) -> Cutout:
    """Colours just outside the mask are those of the nearest pixel inside, so that no background shows at the edge."""
    from scipy import ndimage

    inside = ndimage.binary_erosion(mask > 0.5, iterations=2)
    nearest = ndimage.distance_transform_edt(~inside, return_distances=False, return_indices=True)
    colour = picture[nearest[0], nearest[1]].astype(np.float32) / 255
    return Cutout(np.clip(colour, 0, 1), soft_edge(mask > 0.5), licence)


def _file(name: str) -> str:
    return str(installed_file("scikit-image", "skimage", f"data/{name}"))


def _read(name: str) -> Picture:
    return array_from_image(read_image(_file(name)))
