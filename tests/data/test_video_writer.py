import av
import pytest
import torch

from lib.data.video import VideoWriter, open_video, read_clip
from lib.data.video_writer import ENCODERS
from lib.errors import DataMissing, LabError, ShapeError, SpecError


def smooth_clip(num_frames=6, height=48, width=64, seed=0):
    coarse = torch.rand(num_frames, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=False)


def write(path, clip, fps=25.0, times=None):
    with VideoWriter(path, fps=fps) as writer:
        for index, image in enumerate(clip):
            writer.write(image, times[index] if times else None)


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_flat_colours_come_back_within_three_grey_levels(tmp_path, suffix):
    steps = (0.0, 0.25, 0.5, 0.75, 1.0)
    colours = torch.tensor([(r, g, b) for r in steps for g in steps for b in steps])
    write(tmp_path / f"a{suffix}", colours[:, :, None, None].expand(-1, 3, 32, 32).contiguous())
    back = read_clip(tmp_path / f"a{suffix}", max_frames=200).mean(dim=(2, 3))
    assert back.shape == colours.shape
    # rounding to 8-bit limited-range Y'CbCr and back alone costs up to 2.2 levels (blue: 0.58 + 1.06 + 0.5)
    assert (back - colours).abs().max() < 2.6 / 255
    assert (back - colours).mean(dim=0).abs().max() < 0.4 / 255


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_smooth_pictures_come_back_close_and_without_bias(tmp_path, suffix):
    clip = smooth_clip(height=144, width=192)
    write(tmp_path / f"a{suffix}", clip)
    error = (read_clip(tmp_path / f"a{suffix}", max_frames=6) - clip) * 255
    assert error.square().mean().sqrt() < 2.5
    assert error.mean().abs() < 0.5


def test_mp4_is_what_browsers_play(tmp_path):
    write(tmp_path / "a.mp4", smooth_clip())
    data = (tmp_path / "a.mp4").read_bytes()
    assert 0 < data.find(b"moov") < data.find(b"mdat")
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        frame = next(container.decode(stream))
        assert (stream.codec_context.name, frame.format.name) == ("h264", "yuv420p")
        assert (frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc) == (1, 1, 1, 1)
        assert stream.average_rate == 25


def test_webm_is_vp9(tmp_path):
    write(tmp_path / "a.webm", smooth_clip())
    with av.open(str(tmp_path / "a.webm")) as container:
        assert container.streams.video[0].codec_context.name == "vp9"


@pytest.mark.parametrize("fps", [1, 10, 24, 30000 / 1001, 60])
def test_frame_rate_and_duration_are_kept(tmp_path, fps):
    write(tmp_path / "a.mp4", smooth_clip(), fps=fps)
    with open_video(tmp_path / "a.mp4") as reader:
        assert reader.fps == pytest.approx(fps, rel=1e-4)
        assert reader.num_frames == 6
        assert [time for time, _ in reader.timed()] == pytest.approx([i / fps for i in range(6)], abs=1e-4)
        assert reader.stopped is None


@pytest.mark.parametrize(("suffix", "tolerance_s"), [(".mp4", 2e-5), (".webm", 6e-4)])
def test_variable_frame_times_are_kept(tmp_path, suffix, tolerance_s):
    times = [0.0, 0.04, 0.1, 0.5, 0.52, 2.0]
    write(tmp_path / f"a{suffix}", smooth_clip(), times=times)
    with open_video(tmp_path / f"a{suffix}") as reader:
        assert [time for time, _ in reader.timed()] == pytest.approx(times, abs=tolerance_s)
        assert reader.stopped is None


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (33, 47), (2, 2)])
def test_odd_and_tiny_sizes_gain_a_repeated_edge(tmp_path, suffix, size):
    clip = smooth_clip(height=size[0], width=size[1])
    write(tmp_path / f"a{suffix}", clip)
    back = read_clip(tmp_path / f"a{suffix}", max_frames=6)
    assert back.shape[-2:] == (size[0] + size[0] % 2, size[1] + size[1] % 2)
    if size == (33, 47):
        assert (back[..., 33, :47] - clip[..., 32, :]).abs().mean() < 4 / 255


def test_a_name_without_suffix_becomes_a_folder_of_numbered_pictures(tmp_path):
    clip = smooth_clip(height=5, width=7)
    write(tmp_path / "pictures", clip)
    assert sorted(f.name for f in (tmp_path / "pictures").iterdir())[:2] == ["frame_000001.png", "frame_000002.png"]
    assert (read_clip(tmp_path / "pictures", max_frames=9) - clip).abs().max() <= 0.5 / 255 + 1e-6
    with pytest.raises(SpecError, match="already exists"):
        VideoWriter(tmp_path / "pictures", fps=25)


def test_settings_and_frames_are_checked_with_one_sentence(tmp_path):
    with pytest.raises(SpecError, match=r"\.mp4, \.webm"):
        VideoWriter(tmp_path / "a.avi", fps=25)
    for fps in (0, -1, 1001, float("nan")):
        with pytest.raises(SpecError, match="fps must be"):
            VideoWriter(tmp_path / "a.mp4", fps=fps)
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(SpecError, match="is a folder"):
        VideoWriter(tmp_path / "folder.mp4", fps=25)
    with pytest.raises(DataMissing, match="does not exist"), VideoWriter(tmp_path / "none" / "a.mp4", fps=25):
        pass
    with pytest.raises(LabError, match="no frame was written"), VideoWriter(tmp_path / "a.mp4", fps=25):
        pass
    with pytest.raises(LabError, match="inside its with block"):
        VideoWriter(tmp_path / "a.mp4", fps=25).write(torch.zeros(3, 4, 4))
    image = torch.zeros(3, 4, 4)
    with pytest.raises(ShapeError, match="first one's shape"):
        write(tmp_path / "a.mp4", [image, torch.zeros(3, 4, 6)])
    with pytest.raises(ShapeError, match=r"within 0\.\.1"):
        write(tmp_path / "a.mp4", [image + 9])
    with pytest.raises(ShapeError, match="finite"):
        write(tmp_path / "a.mp4", [image * float("nan")])
    with pytest.raises(SpecError, match="must grow"):
        write(tmp_path / "a.mp4", [image, image], times=[0.5, 0.5])
    assert [f.name for f in tmp_path.iterdir()] == ["folder.mp4"]


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "pictures"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_after_an_exception_or_ctrl_c(tmp_path, name, error):
    def interrupted():
        with VideoWriter(tmp_path / name, fps=25) as writer:
            for image in smooth_clip():
                writer.write(image)
            raise error("stop")

    with pytest.raises(error, match="stop"):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_an_older_file_survives_a_failed_write(tmp_path):
    write(tmp_path / "a.mp4", smooth_clip())
    before = (tmp_path / "a.mp4").read_bytes()
    with pytest.raises(ShapeError):
        write(tmp_path / "a.mp4", [torch.zeros(3, 4, 4), torch.zeros(3, 8, 8)])
    assert (tmp_path / "a.mp4").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "pictures"])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(small_disk, name):
    noise = torch.rand(12, 3, 288, 384, generator=torch.Generator().manual_seed(0))
    with pytest.raises(LabError, match="disk is full") as caught:
        write(small_disk / name, noise)
    assert "\n" not in str(caught.value)
    assert list(small_disk.iterdir()) == []


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "pictures"])
def test_a_read_only_folder_is_one_sentence(read_only_folder, name):
    with pytest.raises(LabError, match=r"read-only|may not be written"):
        write(read_only_folder / name, smooth_clip())


def test_an_absent_encoder_is_one_sentence_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setitem(ENCODERS, ".mp4", ("libnothing", {}))
    with pytest.raises(LabError, match="libnothing failed: it is not in this build"):
        write(tmp_path / "a.mp4", smooth_clip())
    assert list(tmp_path.iterdir()) == []


def test_frames_on_another_device_and_with_gradient_are_taken(tmp_path, device):
    clip = smooth_clip().to(device).requires_grad_()
    write(tmp_path / "a.mp4", clip)
    assert read_clip(tmp_path / "a.mp4", max_frames=6).shape == clip.shape
