"""Checks of the exercises: each takes a student's function and says in one sentence how far it is."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from lib.flow import warp
from lib.fodvid.affinity import cosine_similarity
from lib.fodvid.cut import choose_side
from lib.show.answers import Answer, NotYetError, ask, called, graded, near, number_from, tensor_from

EPSILON = 1e-5


def check_similarity(answer: Callable[[Tensor, Tensor, float], object]) -> Answer:
    """Exercise 1: similarity(image, flow, alpha) -> S (N, N) of features (N, D1) and (N, D2), as in sec. 2.1."""

    def examine() -> str:
        image, flow = _noise(6, 5) + 0.1, _noise(6, 3) - 0.4
        wanted = cosine_similarity(image, flow, alpha=0.7)
        ours = tensor_from(answer, image, flow, 0.7)
        if near(ours, cosine_similarity(image, flow, alpha=0.3)):
            raise NotYetError("alpha belongs to the image; flow gets the rest, 1 - alpha")
        if near(ours, 0.7 * image @ image.T + 0.3 * flow @ flow.T):
            raise NotYetError("those are inner products; a cosine divides each vector by its length first")
        joint = F.normalize(torch.cat([image, flow], dim=1), dim=1)
        if near(ours, joint @ joint.T):
            raise NotYetError("normalise image and flow each for itself, not the two together")
        ask(ours, wanted, "S_ij = alpha cos(image_i, image_j) + (1 - alpha) cos(flow_i, flow_j)")
        return "a patch is like itself with 1, whatever alpha is; alpha decides who else it is like"

    return graded(examine)


def check_affinity(answer: Callable[[Tensor, float, float], object]) -> Answer:
    """Exercise 2: affinity(S, tau, epsilon) -> W (N, N): 1 where S reaches tau, epsilon elsewhere."""

    def examine() -> str:
        similarity = torch.tensor([[1.0, 0.25, 0.1], [0.25, 1.0, -0.4], [0.1, -0.4, 1.0]])
        wanted = torch.where(similarity >= 0.25, 1.0, EPSILON)
        ours = tensor_from(answer, similarity, 0.25, EPSILON)
        if near(ours, (similarity >= 0.25).float()) and not bool((ours[similarity < 0.25] > 0).all()):
            raise NotYetError("without epsilon the graph may fall apart, and D - W then has several eigenvalues 0")
        if near(ours, torch.where(similarity > 0.25, 1.0, EPSILON)):
            raise NotYetError("a similarity of exactly tau joins: take >=")
        if near(ours, similarity.clamp_min(EPSILON)) or near(
            ours, torch.where(similarity >= 0.25, similarity, EPSILON)
        ):
            raise NotYetError("the graph has two values only: 1 where joined, epsilon elsewhere")
        ask(ours, wanted, "1 where S >= tau, epsilon elsewhere, the diagonal included")
        return "two values: what matters is only who is joined, not how strongly"

    return graded(examine)


def check_laplacian(answer: Callable[[Tensor], object]) -> Answer:
    """Exercise 3: laplacian(W) -> D^-1/2 (D - W) D^-1/2, (N, N), D the diagonal of W's row sums."""

    def examine() -> str:
        weights = torch.where(_noise(7, 7) > 0.5, 1.0, EPSILON)
        weights = torch.maximum(weights, weights.T).fill_diagonal_(1)
        degree = weights.sum(1)
        plain = torch.diag(degree) - weights
        wanted = plain / (degree[:, None] * degree[None]).sqrt()
        ours = tensor_from(answer, weights)
        if near(ours, plain):
            raise NotYetError("that is D - W; normalise it on both sides by the root of the degree")
        if near(ours, plain / degree[:, None]):
            raise NotYetError("one-sided: D^-1 (D - W) isn't symmetric; take the root on each side")
        if near(ours, torch.eye(7) - wanted):
            raise NotYetError("that is D^-1/2 W D^-1/2: the Laplacian is 1 minus it")
        without_self = weights.sum(1) - 1
        if near(ours, (torch.diag(without_self) - weights) / (without_self[:, None] * without_self[None]).sqrt()):
            raise NotYetError("the degree counts a patch's edge to itself too: sum whole rows")
        ask(ours, wanted, "entry (i, j) is (D - W)_ij / sqrt(d_i d_j)")
        return "its smallest eigenvalue is 0, of D^1/2 1; the next one's vector, over D^1/2, is the cut"

    return graded(examine)


def check_split(answer: Callable[[Tensor], object]) -> Answer:
    """Exercise 4: split(x) -> bool (rows, columns), the patches above the mean of the eigenvector x."""

    def examine() -> str:
        x = torch.tensor([[-0.1, -0.2, -0.1, 0.2], [-0.2, 0.9, 0.8, -0.1], [-0.1, 0.7, 0.1, -0.2]])
        ours = called(answer, x.clone())
        if not isinstance(ours, Tensor):
            raise NotYetError(f"a torch tensor is wanted: got {type(ours).__name__}")
        if ours.dtype != torch.bool:
            raise NotYetError(f"a mask is bool: got {ours.dtype}; a comparison gives one")
        if torch.equal(ours, x > 0) or torch.equal(ours, x > x.median()):
            raise NotYetError("TokenCut and this paper split at the mean, neither at 0 nor at the median")
        if torch.equal(ours, x < x.mean()) or torch.equal(ours, x <= x.mean()):
            raise NotYetError("the other side: above the mean")
        if not torch.equal(ours, x > x.mean()):
            raise NotYetError(f"expected {int((x > x.mean()).sum())} patches above {float(x.mean()):.3f}")
        return "the mean lies between a few large entries and many small ones, so a small object is cut off cleanly"

    return graded(examine)


def check_side(answer: Callable[[Tensor], object]) -> Answer:
    """Exercise 5: side(x) -> bool (rows, columns), the object by the corner rule.

    Start with x > mean(x). With three corners or more inside, the object is the other side. Else it is the side that
    holds the largest |x|.
    """

    def examine() -> str:
        plain = torch.zeros(4, 5) - 0.1
        plain[1:3, 1:3] = 0.9
        cases = {
            "a bright middle": plain,
            "a dark middle, three corners or more above the mean": -plain,
            "a dark corner region with the largest |x|": _corner(),
            "a bright frame with the largest |x|": _frame(),
        }
        for name, x in cases.items():
            wanted, _ = choose_side(x)
            ours = called(answer, x.clone())
            if not isinstance(ours, Tensor) or ours.dtype != torch.bool or ours.shape != x.shape:
                raise NotYetError("return a bool tensor of the shape of x")
            if torch.equal(ours, ~wanted):
                raise NotYetError(f"wrong side for {name}")
            if not torch.equal(ours, wanted):
                raise NotYetError(f"for {name} the mask is neither side of the mean")
        return (
            "an eigenvector has no sign of its own: seed and corners decide, and a background rarely leaves the corners"
        )

    return graded(examine)


def check_bring(answer: Callable[[Tensor, Tensor], object]) -> Answer:
    """Exercise 6: bring(prediction, flow) -> (H, W) on frame f2's grid: the prediction (H, W) of f1, moved.

    flow: (2, H, W), whole pixels, x then y, on f2's grid, to f1. Outside, the nearest pixel of the border.
    """

    def examine() -> str:
        prediction = _noise(7, 9)
        flow = torch.zeros(2, 7, 9)
        flow[0], flow[1] = 2, -1
        flow[0, 3:, :4] = -1

        def warped(by: Tensor, padding: str = "border") -> Tensor:
            return warp(prediction[None, None], by[None], padding="zeros" if padding == "zeros" else "border")[0, 0]

        ask(tensor_from(answer, prediction, torch.zeros(2, 7, 9)), prediction, "flow 0 must change nothing")
        ours = tensor_from(answer, prediction, flow)
        if near(ours, warped(-flow)):
            raise NotYetError(
                "the direction is reversed: the flow on f2's grid says where its pixel is in f1; read there"
            )
        if near(ours, warped(flow.flip(0))):
            raise NotYetError("x and y are swapped: the first plane moves along the last axis")
        if near(ours, warped(flow, "zeros")):
            raise NotYetError("right inside; outside the picture repeat the border: clamp the position")
        ask(ours, warped(flow), "result(y, x) = prediction(y + flow_y(y, x), x + flow_x(y, x)), clamped to the picture")
        return "so every pixel of f2 asks f1 one question, and the gradient goes back the same way"

    return graded(examine)


def check_jaccard(answer: Callable[[Tensor, Tensor], object]) -> Answer:
    """Exercise 7: jaccard(mask, truth) -> J of two bool masks (H, W), 0..1, as DAVIS counts it."""

    def examine() -> str:
        mask, truth = _noise(6, 7) > 0.5, _noise(6, 7).flip(0) > 0.4
        both, either = int((mask & truth).sum()), int((mask | truth).sum())
        ours = number_from(answer, mask, truth)
        if abs(ours - 2 * both / int(mask.sum() + truth.sum())) < 1e-6:
            raise NotYetError("that is the Dice score, which counts the common part twice; J is common over union")
        if abs(ours - float((mask == truth).float().mean())) < 1e-6:
            raise NotYetError("that is accuracy, which a large background flatters; J ignores what both leave out")
        if abs(ours - 100 * both / either) < 1e-4:
            raise NotYetError("right but for the unit: 0..1")
        if abs(ours - both / either) > 1e-6:
            raise NotYetError(f"for these masks {both} pixels are common and {either} in the union: got {ours:.4f}")
        empty = torch.zeros(6, 7, dtype=torch.bool)
        if abs(number_from(answer, empty, empty) - 1) > 1e-9:
            raise NotYetError("two empty masks agree: DAVIS gives 1, not 0 / 0")
        return "the mean over a sequence leaves out its first and last frame, in DAVIS's protocol"

    return graded(examine)


def _corner() -> Tensor:
    x = torch.full((4, 5), 0.2)
    x[:2, :4] = -0.3
    x[0, 0] = -0.9
    x[-1, :] = -0.3
    return x


def _frame() -> Tensor:
    x = torch.full((4, 5), 0.8)
    x[1:3, 1:4] = -0.5
    return x


def _noise(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=Generator().manual_seed(5))
