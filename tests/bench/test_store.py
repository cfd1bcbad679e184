"""Many processes that write one store at once: every record is whole, whoever reads and whenever."""

import subprocess
import sys
import textwrap
from dataclasses import replace

import pytest

from lib.bench.record import Record, all_records
from lib.paths import paths

NUM_WRITERS = 8
ROUNDS = 30
WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from lib.bench.record import Record
from lib.bench.runner import clean_leftovers, new_partial, publish

template, home, number, rounds = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
record = Record.load(template)
print("ready", flush=True)
sys.stdin.readline()
for turn in range(rounds):
    # two keys that all fight for, and one of this process alone
    for key in ("a" * 64, "b" * 64, f"{number:x}" * 64):
        home.mkdir(parents=True, exist_ok=True)
        clean_leftovers(home)
        partial = new_partial(home)
        partial.mkdir()
        (partial / "notebook.ipynb").write_text("x" * 10_000)
        replace(record, key=key, seed=number).save(partial / "record.json")
        publish(partial, home / key[:12])
"""


@pytest.mark.slow
def test_eight_writers_leave_whole_records_and_nothing_else(toys, record, tmp_path):
    template = tmp_path / "record.json"
    record.save(template)
    home = paths().runs / "toy" / "1_method"
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(template), str(home)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    writers = [subprocess.Popen([*command, str(number), str(ROUNDS)], **pipes) for number in range(NUM_WRITERS)]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    seen = 0
    while any(writer.poll() is None for writer in writers):
        for found in all_records():  # a reader never meets half of one
            assert replace(found, key="", seed=0) == replace(record, key="")
            seen += 1
    for writer in writers:
        assert (writer.wait(), writer.stderr.read()) == (0, "")
    assert seen > 0
    names = sorted(folder.name for folder in home.iterdir())
    assert names == sorted([*(f"{number:x}" * 12 for number in range(NUM_WRITERS)), "a" * 12, "b" * 12])
    for folder in home.iterdir():
        assert Record.load(folder / "record.json").key.startswith(folder.name)
        assert len((folder / "notebook.ipynb").read_text()) == 10_000


def test_a_record_that_vanishes_while_it_is_read_is_passed_over_in_silence(toys, record, monkeypatch, caplog):
    folder = paths().runs / "toy" / "1_method" / "a"
    folder.mkdir(parents=True)
    record.save(folder / "record.json")
    load = Record.load.__func__

    def late(cls, path):
        path.unlink()
        return load(cls, path)

    monkeypatch.setattr(Record, "load", classmethod(late))
    assert all_records() == []
    assert caplog.text == ""
