"""A picture with sliders: a pure function draws it, and each move of a slider sets its bytes, nothing else."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from torch import Tensor

from lib.data.images import array_from_image
from lib.errors import SpecError

if TYPE_CHECKING:
    from ipywidgets import VBox

Values = Mapping[str, float]
JPEG_QUALITY = 85


@dataclass(frozen=True)
class Slider:
    """One number that a reader can move: name for `render`, text beside it, bounds, first value and step.

    A whole step from a whole bound gives whole numbers.
    """

    name: str
    label: str
    low: float
    high: float
    value: float
    step: float = 1

    def __post_init__(self) -> None:
        if not self.low <= self.value <= self.high or self.step <= 0:
            raise SpecError(
                f"{self.name} must start within {self.low}..{self.high} and have a step above 0: "
                f"got {self.value}, step {self.step}"
            )


def panel(render: Callable[[dict[str, float]], bytes], sliders: Sequence[Slider]) -> "VBox":
    """Sliders above a picture.

    render: from the sliders' values by name to the bytes of a JPEG or PNG file, see `jpeg`; it should take less than
    half a second. It is called once here and once a move; what it raises reaches whoever moves the slider. A static
    figure of the first values belongs beside the panel, for pages without a kernel.
    """
    from ipywidgets import FloatSlider, Image, IntSlider, VBox

    if len({slider.name for slider in sliders}) != len(sliders):
        raise SpecError(f"sliders must have different names: got {', '.join(slider.name for slider in sliders)}")
    controls: dict[str, Any] = {}
    for slider in sliders:
        whole = all(float(value).is_integer() for value in (slider.low, slider.step, slider.value))
        number = int if whole else float
        bounds = {"min": number(slider.low), "max": number(slider.high), "step": number(slider.step)}
        kind = IntSlider if whole else FloatSlider
        controls[slider.name] = kind(
            value=number(slider.value), description=slider.label, continuous_update=False, **bounds
        )
    picture = Image(value=render({name: control.value for name, control in controls.items()}))

    def moved(_: object) -> None:
        picture.value = render({name: control.value for name, control in controls.items()})

    for control in controls.values():
        control.observe(moved, names="value")
    return VBox([*controls.values(), picture])


def jpeg(image: Tensor) -> bytes:
    """An RGB image (3, H, W), 0..1, as the bytes of a JPEG file."""
    from PIL import Image

    buffer = BytesIO()
    Image.fromarray(array_from_image(image)).save(buffer, format="JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()
