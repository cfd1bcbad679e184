"""One cell of the ablation's tables on its own, so that a sweep can spread the cells over many processes."""

from lib.fodvid.ablation import GRAPH_CUT, Variant, alpha_axis_name, tau_axis_name
from lib.fodvid.scenes import Scene, davis_scenes, simulated_scene
from lib.fodvid.settings import Settings
from lib.fodvid.train import SegmenterSettings
from lib.show.sweeps import Axis

OWN = -1.0  # for tau or alpha: what goes with the backbone


def cell_settings(base: Settings, *, tau: float, alpha: float) -> Settings:
    """The base with this tau and alpha, each in 0..1, or OWN for the base's own."""
    changes = {name: value for name, value in (("tau", tau), ("alpha", alpha)) if value != OWN}
    return base.but(**changes)


def cell_axes(base: Settings, *, tau: float, alpha: float, training: SegmenterSettings | None) -> list[Axis[Variant]]:
    """The axes that the cell lies on, each with this one setting, under the names by which tables 2, 3 and 4 know it.

    The axis `backbone` (table 2) and `refinement` (table 4) are there only where tau and alpha are the backbone's own.
    training: the refinement of table 4, with and without its CRF; None leaves it out.
    """
    settings = cell_settings(base, tau=tau, alpha=alpha)
    cut = Variant(settings)
    label = f"tau {settings.tau:g}, alpha {settings.alpha:g}"
    axes = [Axis(name, {label: cut}, label) for name in (tau_axis_name(settings.alpha), alpha_axis_name(settings.tau))]
    if (tau, alpha) != (OWN, OWN):
        return axes
    axes.append(Axis("backbone", {settings.backbone: cut}, settings.backbone))
    if training is not None:
        stages = {
            GRAPH_CUT: cut,
            "refined": Variant(settings, training),
            "refined + CRF": Variant(settings, training, "crf"),
        }
        axes.append(
            Axis(
                "refinement",
                {f"{settings.flow}, {name}": it for name, it in stages.items()},
                f"{settings.flow}, {GRAPH_CUT}",
            )
        )
    return axes


def cell_scenes(davis_root: str, *, clip: str, seed: int, num_frames: int, height_px: int) -> list[list[Scene]]:
    """Groups of scenes for one cell: each sequence of DAVIS-2016 val, or one simulated take for no folder ("").

    Raises DataMissing where the folder lacks what the data set has.
    """
    found = [[scene] for scene in davis_scenes(davis_root)]
    return found or [[simulated_scene(clip, seed=seed, num_frames=num_frames, height_px=height_px)]]
