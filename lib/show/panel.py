"""A picture with sliders: a pure function draws it, and each move of a slider sets its bytes, nothing else."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from torch import Tensor

from lib.data.images import array_from_image
from lib.errors import ShapeError, SpecError

if TYPE_CHECKING:
    from ipywidgets import VBox
    from PIL.Image import Image

Values = Mapping[str, float]
JPEG_QUALITY = 85
TITLE_PX, TITLE_ROOM_PX, GAP_PX = 14, 22, 10
PLAY_MS = 250  # from frame to frame of a slider that plays


@dataclass(frozen=True)
class Slider:
    """One number that a reader can move: name for `render`, text beside it, bounds, first value and step.

    A whole step from a whole bound gives whole numbers. plays: with a button that moves it on by itself, for whole
    numbers only.
    """

    name: str
    label: str
    low: float
    high: float
    value: float
    step: float = 1
    plays: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether it gives whole numbers."""
        return all(float(value).is_integer() for value in (self.low, self.step, self.value))

    def __post_init__(self) -> None:
        if not self.low <= self.value <= self.high or self.step <= 0:
            raise SpecError(
                f"{self.name} must start within {self.low}..{self.high} and have a step above 0: "
                f"got {self.value}, step {self.step}"
            )
        if self.plays and not self.is_whole:
            raise SpecError(f"{self.name} must have whole numbers to play: got {self.low}, {self.value}, {self.step}")


def panel(render: Callable[[dict[str, float]], bytes], sliders: Sequence[Slider]) -> "VBox":
    """Sliders above a picture.

    render: from the sliders' values by name to the bytes of a JPEG or PNG file, see `jpeg`; it should take less than
    half a second. It is called once here and once a move; what it raises reaches whoever moves the slider. A static
    figure of the first values belongs beside the panel, for pages without a kernel, which show one line instead of it.
    """
    from ipywidgets import FloatSlider, HBox, Image, IntSlider, Play, VBox, link

    if len({slider.name for slider in sliders}) != len(sliders):
        raise SpecError(f"sliders must have different names: got {', '.join(slider.name for slider in sliders)}")
    controls: dict[str, Any] = {}
    rows: list[Any] = []
    for slider in sliders:
        number = int if slider.is_whole else float
        bounds = {"min": number(slider.low), "max": number(slider.high), "step": number(slider.step)}
        bounds["value"] = number(slider.value)
        kind = IntSlider if slider.is_whole else FloatSlider
        control = controls[slider.name] = kind(description=slider.label, continuous_update=False, **bounds)
        rows.append(control)
        if slider.plays:
            button = Play(interval=PLAY_MS, **bounds)
            link((button, "value"), (control, "value"))
            rows[-1] = HBox([control, button])
    picture = Image(value=render({name: control.value for name, control in controls.items()}))

    def moved(_: object) -> None:
        picture.value = render({name: control.value for name, control in controls.items()})

    for control in controls.values():
        control.observe(moved, names="value")

    class Panel(VBox):
        def __repr__(self) -> str:
            return f"A panel: {', '.join(controls)}; it moves where the notebook runs"

    return Panel([*rows, picture])


def captioned(pictures: Mapping[str, Tensor], *, zoom: int = 1) -> bytes:
    """Pictures side by side, each under its title, as the bytes of a JPEG file.

    pictures: RGB (3, H, W) or planes (H, W) or (1, H, W), 0..1, by title; they must share a height. zoom: how many
    times each pixel is repeated. Raises ShapeError for heights that differ or another form.
    """
    from PIL import Image, ImageDraw, ImageFont

    shown = [_enlarged(picture, zoom) for picture in pictures.values()]
    if len({image.height for image in shown}) != 1:
        raise ShapeError(f"pictures in a row must share a height: got {[image.height for image in shown]} pixels")
    width = sum(image.width for image in shown) + GAP_PX * (len(shown) - 1)
    sheet = Image.new("RGB", (width, TITLE_ROOM_PX + shown[0].height), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(TITLE_PX)
    left = 0
    for title, image in zip(pictures, shown, strict=True):
        draw.text((left, (TITLE_ROOM_PX - TITLE_PX) // 2 - 1), title, fill="black", font=font)
        sheet.paste(image, (left, TITLE_ROOM_PX))
        left += image.width + GAP_PX
    return _encoded(sheet)


def _enlarged(picture: Tensor, zoom: int) -> "Image":
    from PIL import Image

    planes = picture.detach()[None] if picture.ndim == 2 else picture.detach()
    if planes.ndim != 3 or planes.shape[0] not in (1, 3):
        raise ShapeError(f"a picture must be (3, H, W), (1, H, W) or (H, W): got {tuple(picture.shape)}")
    array = array_from_image(planes.expand(3, -1, -1).float())
    return Image.fromarray(array.repeat(zoom, axis=0).repeat(zoom, axis=1))


def jpeg(image: Tensor) -> bytes:
    """An RGB image (3, H, W), 0..1, as the bytes of a JPEG file."""
    from PIL import Image

    return _encoded(Image.fromarray(array_from_image(image)))


def _encoded(image: "Image") -> bytes:
    buffer = BytesIO()
    image.save(buffer, format="JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()
