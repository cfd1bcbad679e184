import os
import subprocess
from contextlib import contextmanager

import pytest


@contextmanager
def _mounted(folder, options):
    folder.mkdir()
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("needs root to mount a small tmpfs; run the tests as root in a container")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("this machine may not mount a tmpfs; run in a container with mount rights")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KiB."""
    with _mounted(tmp_path / "small", "size=256k") as folder:
        yield folder


@pytest.fixture
def read_only_folder(tmp_path):
    if os.name == "posix" and os.geteuid() != 0:
        folder = tmp_path / "locked"
        folder.mkdir(mode=0o555)
        yield folder
    else:
        with _mounted(tmp_path / "locked", "ro") as folder:
            yield folder
