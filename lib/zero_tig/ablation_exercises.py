"""Checks of the ablation's exercises: each takes a student's function and says in one sentence how far it is."""

from collections.abc import Callable
from statistics import fmean

import torch
from torch import Generator

from lib.show.answers import Answer, NotYetError, called, graded, number_from
from lib.zero_tig.evaluate import scores_of
from lib.zero_tig.methods import Recipe, reflectances, train_on_case
from lib.zero_tig.networks import IlluminationNet, NoiseNet
from lib.zero_tig.scenes import dark_clip
from lib.zero_tig.settings import Settings

NUM_FRAMES, HEIGHT_PX = 6, 32
UNSEEN_SEEDS = (21, 22)
GAIN_DB = 0.1
TRIALS = 200_000


def check_parameters(answer: Callable[[], object]) -> Answer:
    """Exercise 1: extra() -> how many more numbers Zero-TIG has than Zero-IG, from the sizes of its first layers."""

    def examine() -> str:
        ours = number_from(answer)
        layers = (IlluminationNet(9), IlluminationNet(3), NoiseNet(12, 6), NoiseNet(6, 6))
        illuminator, single, reflector, plain = (sum(one.numel() for one in net.parameters()) for net in layers)
        wanted = illuminator - single + reflector - plain
        if ours == illuminator - single or ours == reflector - plain:
            raise NotYetError("that is one of the two networks; IE-Net and RD-Net both see the past")
        if ours == wanted / 9:
            raise NotYetError("each filter is 3x3")
        if ours != wanted:
            raise NotYetError(
                f"six more input channels, 3x3 filters, 64 of them in IE-Net and 48 in RD-Net: got {ours:g}"
            )
        return f"{wanted} numbers, 7 per cent, are all that Zero-TIG knows more about time than Zero-IG"

    return graded(examine)


def check_recursion(answer: Callable[[float], object]) -> Answer:
    """Exercise 2: left(a) -> share of the noise that is left in R(t) = a I(t) + (1 - a) R(t-1) after many still frames.

    Checked by drawing noise: `left(1)` is 1, and a small `a` averages over many frames.
    """

    def examine() -> str:
        for share in (1.0, 0.5, 0.2):
            ours = number_from(answer, share)
            counted = _left_over(share)
            if abs(ours - share) < 0.01 and share < 1:
                raise NotYetError(f"a = {share:g}: the noise of the past adds to that of the present, as variances")
            if abs(ours - counted**2) < 0.01 and share < 1:
                raise NotYetError("that is the variance; the noise is its root")
            if abs(ours - counted) > 0.01:
                raise NotYetError(f"a = {share:g}: counted {counted:.2f}, yours says {ours:.2f}")
        return "feedback gets far with one frame of memory, if the flow is right"

    return graded(examine)


def check_better(answer: Callable[[], object]) -> Answer:
    """Exercise 3: better() -> Settings that bring Zero-TIG nearer to the truth than the default, on unseen noise.

    Asked for: mean PSNR HM better by GAIN_DB over two takes, with epochs at most 4.
    """

    def examine() -> str:
        settings = called(answer)
        if not isinstance(settings, Settings):
            raise NotYetError(f"return Settings(...): got {type(settings).__name__}")
        if settings.epochs > 4:
            raise NotYetError(f"at most 4 epochs, lest it takes all day: got {settings.epochs}")
        default = Recipe.fine_tuning(epochs=1)
        ours, theirs = (_psnr(Recipe(one)) for one in (settings, default.settings))
        says = f"PSNR HM {ours - theirs:+.2f} dB against the default"
        if ours - theirs < GAIN_DB:
            raise NotYetError(f"{says}; {GAIN_DB:+.1f} is asked for: what did the tables above say?")
        return says

    return graded(examine)


def _left_over(share: float) -> float:
    """Standard deviation of the recursion's noise in its steady state, drawn."""
    generator = Generator().manual_seed(0)
    held = torch.zeros(TRIALS)
    for _ in range(40):
        held = share * torch.randn(TRIALS, generator=generator) + (1 - share) * held
    return float(held.std())


def _psnr(recipe: Recipe) -> float:
    found = []
    for seed in UNSEEN_SEEDS:
        case = dark_clip("walk", seed=seed, num_frames=NUM_FRAMES, height_px=HEIGHT_PX, level="10 %")
        model = train_on_case("zero_tig", case, recipe, seed=seed).model
        found.append(scores_of(reflectances(model, case.video), case, ["psnr_hm"])["psnr_hm"])
    return fmean(found)
