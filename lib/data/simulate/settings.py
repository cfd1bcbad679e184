"""Settings of the simulated night and what was calibrated on what."""

from dataclasses import dataclass

from lib.errors import SpecError

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class NightSettings:
    """Light, traffic and camera of a simulated night; lengths are fractions of the picture, light is relative to day.

    `ambient`, `saturation` and the lamps are calibrated on four night pictures of a real webcam (AMOS/TILDE
    "Frankfurt") against the simulated night of its day picture, without traffic. Luma percentiles 25, 50, 75, 90 in
    grey levels: real 22-34, 48-69, 60-95, 85-112, simulated 34-36, 44-45, 54-57, 82-89; channel means 50-72 and 46-52.
    Not reached: deep shadows (10th percentile 8-13, simulated 19-22) and the share of pixels above 249 (0.7-1.4 %,
    simulated 0.1 %), because that town has hundreds of lamps and lit windows and here are fourteen.
    The noise is calibrated on the one real webcam night that isn't smoothed ("Courbevoie", sky and square): robust
    standard deviation 4.9, 4.9, 3.5 grey levels in R, G, B, simulated 4.9, 4.0, 4.5. Traffic is invented.
    Raises SpecError for values out of range.
    """

    exposure: float = 1.0  # factor on all light that reaches the sensor
    ambient: float = 0.075  # light of the night sky over that of the day
    ambient_colour: Colour = (0.96, 1.0, 1.07)
    saturation: float = 0.5  # of colours that only the ambient light shows, 0 grey, 1 as by day
    num_lamps: int = 14
    lamp_places: tuple[tuple[float, float], ...] = ()  # (x, y) of the lamps; empty: num_lamps drawn at random
    lamp_power: float = 1.2  # light under the brightest lamp
    lamp_reach: float = 0.13  # height of a lamp above what it lights
    glare: float = 1.2  # halo at the rim of a lamp of power 1, from scatter in the lens and the air
    num_cars: int = 2
    num_people: int = 2
    lanes: tuple[float, ...] = (0.76, 0.88)  # height of the road under the wheels, from the top
    car_length: float = 0.17  # of the width
    car_speed: float = 0.010  # widths per frame
    person_height: float = 0.17  # of the height
    person_speed: float = 0.0025  # widths per frame
    headlight_power: float = 0.7  # light on the road right before a car
    electrons_at_white: float = 1500.0  # signal of display white in the green channel: short exposure, high gain
    read_noise_electrons: float = 2.0  # standard deviation
    white_balance: Colour = (1.5, 1.0, 1.35)  # gains after the sensor: red and blue are noisier
    levels: int = 256  # of the quantised display signal

    def __post_init__(self) -> None:
        positive = ("exposure", "lamp_reach", "car_length", "person_height", "electrons_at_white")
        for name in (*positive, "ambient", "lamp_power", "glare", "headlight_power", "read_noise_electrons"):
            low = "above 0" if name in positive else "at least 0"
            if getattr(self, name) < 0 or (name in positive and getattr(self, name) == 0):
                raise SpecError(f"{name} must be {low}: got {getattr(self, name)}")
        if min(self.num_lamps, self.num_cars, self.num_people) < 0:
            raise SpecError("num_lamps, num_cars and num_people must be at least 0")
        if not self.lanes or self.levels < 2 or min(self.white_balance) < 1 or not 0 <= self.saturation <= 1:
            raise SpecError("needs one lane, two levels, white_balance gains of at least 1 and saturation within 0..1")
