import os
import subprocess
import sys

from lib.bench import provenance


def test_the_source_hash_follows_names_and_bytes_of_python_files(tmp_path):
    (tmp_path / "a.py").write_text("x = 1")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c.py").write_text("y = 2")
    first = provenance.lib_sha256(tmp_path)
    (tmp_path / "note.txt").write_text("not source")
    assert provenance.lib_sha256(tmp_path) == first
    (tmp_path / "a.py").write_text("x = 2")
    edited = provenance.lib_sha256(tmp_path)
    (tmp_path / "a.py").rename(tmp_path / "d.py")
    assert len({first, edited, provenance.lib_sha256(tmp_path)}) == 3


def test_the_notebook_hash_ignores_outputs_and_follows_source(toys):
    path = toys.write("1_method", "x = 1").path
    first = provenance.notebook_sha256(path)
    path.write_text(path.read_text().replace('"outputs": []', '"outputs": [{"output_type": "stream"}]'))
    assert provenance.notebook_sha256(path) == first
    path.write_text(path.read_text().replace("x = 1", "x = 2"))
    assert provenance.notebook_sha256(path) != first


def test_content_hash_follows_a_file_and_a_folder(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("a")
    first = provenance.content_sha256(file), provenance.content_sha256(tmp_path)
    file.write_text("b")
    assert provenance.content_sha256(file) != first[0]
    assert provenance.content_sha256(tmp_path) != first[1]


def test_versions_name_every_package_and_say_absent(monkeypatch):
    monkeypatch.setattr(provenance, "PACKAGES", ("numpy", "no-such-package"))
    found = provenance.versions()
    assert found["no-such-package"] == "absent"
    assert found["numpy"][0].isdigit()
    assert found["python"] == ".".join(map(str, sys.version_info[:2]))


def test_git_state_follows_the_checkout(tmp_path, monkeypatch):
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    monkeypatch.setattr(provenance, "LIB", tmp_path / "lib")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "a.py").write_text("x = 1")
    assert provenance.code_state(lib_hash="1", notebook_hash="2").git_commit == ""
    git("init")
    git("add", "lib")
    git("commit", "-m", "a")
    clean = provenance.code_state(lib_hash="1", notebook_hash="2")
    assert len(clean.git_commit) == 40
    assert clean.git_dirty is False
    (tmp_path / "lib" / "a.py").write_text("x = 2")
    assert provenance.code_state(lib_hash="1", notebook_hash="2").git_dirty is True


def test_another_projects_checkout_around_ours_is_not_recorded(tmp_path, monkeypatch):
    subprocess.run(["git", "init"], cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "venv" / "lib").mkdir(parents=True)
    monkeypatch.setattr(provenance, "LIB", tmp_path / "venv" / "lib")
    state = provenance.code_state(lib_hash="1", notebook_hash="2")
    assert (state.git_commit, state.git_dirty) == ("", None)


def test_absent_git_is_fine(monkeypatch):
    monkeypatch.setenv("PATH", "")
    state = provenance.code_state(lib_hash="1", notebook_hash="2")
    assert (state.git_commit, state.git_dirty, state.lib_sha256) == ("", None, "1")


def test_the_machine_has_a_name_cores_and_memory():
    machine = provenance.hardware("a gpu")
    assert machine.cpu
    assert machine.cores >= 1
    assert machine.memory_gib > 0
    assert machine.gpu == "a gpu"


def test_peak_memory_is_that_of_the_process_asked_for():
    code = "b = bytearray(60 * 2**20); del b; print('ready', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        peak = provenance.peak_memory_mib(child.pid)
        child.communicate("\n")
    assert peak > 0
    if os.path.exists("/proc/self/status"):
        assert 60 < peak < 120


def test_a_process_that_has_ended_has_no_memory():
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert provenance.peak_memory_mib(child.pid) == 0
