"""Side-by-side timings: ours and a peer in turn in one process, on one thread, medians of several rounds."""

import platform
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Race:
    """One piece of work, our function for it and what a user would pick instead.

    peer: a function, a time in seconds that somebody published, or a sentence that says why there is none here.
    goal: how many times faster than the peer ours should be; races of one `group` are judged by their geometric mean.
    check: gives one short text on the accuracy of ours, made after the timing.
    peer_rounds: the peer runs in so many of the rounds at most, for one that takes many seconds; 0 for all.
    """

    work: str
    ours: Callable[[], object] | str
    peer_name: str
    peer: Callable[[], object] | float | str
    goal: float
    group: str = ""
    check: Callable[[], str] | None = None
    peer_rounds: int = 0


@dataclass(frozen=True)
class RaceResult:
    """Medians in seconds, None where something did not run; `note` has the accuracy or the reason."""

    race: Race
    ours_s: float | None
    peer_s: float | None
    note: str

    @property
    def ratio(self) -> float | None:
        """Peer's time over ours."""
        return self.peer_s / self.ours_s if self.ours_s and self.peer_s else None


def run_races(races: Iterable[Race], *, rounds: int = 5) -> list[RaceResult]:
    """Runs every race on one thread and prints a table with this machine's name; returns the results."""
    import cv2
    from threadpoolctl import threadpool_limits  # of scikit-learn: reaches the BLAS of NumPy and SciPy

    results = []
    threads, cv_threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        print(f"{machine_name()}, 1 thread, medians of {rounds} rounds, in turn in one process")
        print(f"{'work':<44} {'ours':>10}  {'peer':<34} {'time':>10} {'ratio':>7} {'goal':>6}")
        with threadpool_limits(limits=1):
            for race in races:
                results.append(_run(race, rounds))
                print(_line(results[-1]), flush=True)
    finally:
        torch.set_num_threads(threads)
        cv2.setNumThreads(cv_threads)
    for group in dict.fromkeys(race.race.group for race in results if race.race.group):
        ratios = [result.ratio for result in results if result.race.group == group]
        known = [ratio for ratio in ratios if ratio is not None]
        if known and len(known) == len(ratios):
            goal = next(result.race.goal for result in results if result.race.group == group)
            mean = statistics.geometric_mean(known)
            print(f"geometric mean, {group}: {mean:.2f}x, goal {goal:g}x: {'met' if mean >= goal else 'missed'}")
    return results


def machine_name() -> str:
    """Processor, and the GPU when there is one."""
    processor = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            processor = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{processor}, {torch.cuda.get_device_name()}" if torch.cuda.is_available() else processor


def _run(race: Race, rounds: int) -> RaceResult:
    if isinstance(race.ours, str):
        return RaceResult(race, None, None, f"not run: {race.ours}")
    candidates: list[Callable[[], object]] = [race.ours]
    if callable(race.peer):
        candidates.append(race.peer)
    for candidate in candidates:
        candidate()
    times: list[list[float]] = [[] for _ in candidates]
    for number in range(rounds):
        for candidate, taken in zip(candidates, times, strict=True):
            if candidate is race.peer and race.peer_rounds and number >= race.peer_rounds:
                continue
            _synchronise()
            start = time.perf_counter()
            candidate()
            _synchronise()
            taken.append(time.perf_counter() - start)
    medians = [statistics.median(taken) for taken in times]
    notes = [race.check()] if race.check else []
    if isinstance(race.peer, str):
        notes.append(f"peer not run: {race.peer}")
    published = race.peer if isinstance(race.peer, float) else None
    return RaceResult(race, medians[0], medians[1] if len(medians) > 1 else published, "; ".join(notes))


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _line(result: RaceResult) -> str:
    race = result.race

    def milliseconds(seconds: float | None) -> str:
        return "-" if seconds is None else f"{seconds * 1e3:.3g} ms"

    ratio = "-" if result.ratio is None else f"{result.ratio:.2f}x"
    note = f"  {result.note}" if result.note else ""
    return (
        f"{race.work:<44} {milliseconds(result.ours_s):>10}  {race.peer_name:<34} "
        f"{milliseconds(result.peer_s):>10} {ratio:>7} {f'{race.goal:g}x':>6}{note}"
    )
