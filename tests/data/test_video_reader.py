import struct

import av
import numpy as np
import psutil
import pytest
import torch
from av.video.frame import VideoFrame

from lib.data.images import write_image
from lib.data.video import VideoWriter, open_video, read_clip
from lib.errors import DataMissing, LabError, SpecError


def noise_clip(num_frames=60, height=48, width=64):
    return torch.rand(num_frames, 3, height, width, generator=torch.Generator().manual_seed(0))


def write(path, clip, fps=25.0):
    with VideoWriter(path, fps=fps) as writer:
        for image in clip:
            writer.write(image)


def write_planes(path, planes, layout, *, full_range=None, codec="ffv1"):
    """Lossless file of the given planes, each (h, w)."""
    height, width = planes[0].shape
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = width, height, layout
        frame = VideoFrame(width, height, layout)
        for plane, values in zip(frame.planes, planes, strict=True):
            padded = np.zeros((plane.height, plane.line_size // values.itemsize), dtype=values.dtype)
            padded[:, : values.shape[1]] = values
            plane.update(padded.tobytes())
        if full_range is not None:
            frame.color_range = 2 if full_range else 1
            stream.codec_context.color_range = frame.color_range
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_each_loop_starts_anew_and_loops_may_overlap(tmp_path):
    write(tmp_path / "a.mp4", noise_clip(4))
    with open_video(tmp_path / "a.mp4") as reader:
        assert (reader.size, reader.num_frames, reader.fps) == ((48, 64), 4, 25.0)
        once, twice = torch.stack(list(reader)), torch.stack(list(reader))
        assert torch.equal(once, twice)
        assert all(torch.equal(a, b) for a, b in zip(reader, reader, strict=True))
        assert once.dtype == torch.float32
        assert once.is_contiguous()
        assert 0 <= once.min() < once.max() <= 1


def test_a_closed_reader_says_so(tmp_path):
    write(tmp_path / "a.mp4", noise_clip(4))
    with open_video(tmp_path / "a.mp4") as reader:
        frames = reader.timed()
        next(frames)
    with pytest.raises(StopIteration):
        next(frames)
    with pytest.raises(LabError, match="is closed"):
        iter(reader)


def test_read_clip_takes_at_most_max_frames(tmp_path):
    write(tmp_path / "a.mp4", noise_clip(4))
    assert read_clip(tmp_path / "a.mp4", max_frames=3).shape == (3, 3, 48, 64)
    assert read_clip(tmp_path / "a.mp4", max_frames=9).shape == (4, 3, 48, 64)
    with pytest.raises(SpecError, match="at least 1"):
        read_clip(tmp_path / "a.mp4", max_frames=0)


@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
@pytest.mark.parametrize("share", [0.4, 0.8])
def test_a_cut_off_file_keeps_its_frames_and_says_where_it_stopped(tmp_path, name, share):
    write(tmp_path / name, noise_clip())
    whole = torch.stack(list(open_video(tmp_path / name)))
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(len(data) * share)])
    with open_video(tmp_path / name) as reader:
        kept = torch.stack(list(reader))
        assert 60 * share * 0.5 < len(kept) < 60
        # the last frame may be damaged by the cut
        assert torch.equal(kept[:-1], whole[: len(kept) - 1])
        assert reader.stopped is not None
        assert f"stopped after {len(kept)} frames" in reader.stopped
        assert "\n" not in reader.stopped


def test_a_whole_file_says_nothing(tmp_path):
    for name in ("a.mp4", "a.webm"):
        write(tmp_path / name, noise_clip())
        reader = open_video(tmp_path / name)
        assert len(list(reader)) == 60
        assert reader.stopped is None


def test_a_file_damaged_in_the_middle_stops_with_the_reason(tmp_path):
    write(tmp_path / "a.mp4", noise_clip())
    data = bytearray((tmp_path / "a.mp4").read_bytes())
    middle = len(data) * 6 // 10
    data[middle : middle + 60_000] = b"\xff" * 60_000
    (tmp_path / "a.mp4").write_bytes(data)
    reader = open_video(tmp_path / "a.mp4")
    kept = list(reader)
    assert 10 < len(kept) < 60
    assert "stopped after" in (reader.stopped or "")


def test_bad_paths_are_one_sentence(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video\n" * 100)
    (tmp_path / "folder").mkdir()
    write(tmp_path / "a.mp4", noise_clip())
    (tmp_path / "head.mp4").write_bytes((tmp_path / "a.mp4").read_bytes()[:300])
    for name, words in (
        ("none.mp4", "does not exist"),
        ("empty.mp4", "empty file"),
        ("text.mp4", "cannot read"),
        ("folder", "holds no picture"),
        ("head.mp4", "head.mp4"),
    ):
        with pytest.raises(DataMissing, match=words) as caught:
            open_video(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_a_sound_file_holds_no_video(tmp_path):
    with av.open(str(tmp_path / "a.mka"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), dtype=np.int16), format="s16", layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    with pytest.raises(DataMissing, match="no video stream"):
        open_video(tmp_path / "a.mka")


@pytest.mark.parametrize("layout", ["yuv420p10le", "yuv444p10le"])
@pytest.mark.parametrize("full_range", [False, True])
def test_ten_bit_video_keeps_steps_finer_than_a_grey_level(tmp_path, layout, full_range):
    low, high = (0, 1023) if full_range else (64, 940)
    luma = np.linspace(low, high, 128).round().astype("<u2")
    chroma = np.full((8, 64) if "420" in layout else (16, 128), 512, dtype="<u2")
    write_planes(tmp_path / "a.mkv", [np.tile(luma, (16, 1)), chroma, chroma], layout, full_range=full_range)
    image = read_clip(tmp_path / "a.mkv", max_frames=1)[0]
    expected = torch.from_numpy((luma.astype(np.float32) - low) / (high - low))
    assert (image - expected).abs().max() < 0.6 / 255
    assert len(image[1, 0].unique()) == 128
    assert image.max() <= 1


@pytest.mark.parametrize(("layout", "bits"), [("gray", 8), ("gray10le", 10), ("gray16le", 16)])
def test_grey_video_is_repeated_to_rgb(tmp_path, layout, bits):
    ramp = np.linspace(0, 2**bits - 1, 64).round().astype("u1" if bits == 8 else "<u2")
    write_planes(tmp_path / "a.mkv", [np.tile(ramp, (16, 1))], layout)
    image = read_clip(tmp_path / "a.mkv", max_frames=1)[0]
    expected = torch.from_numpy(ramp.astype(np.float32) / (2**bits - 1))
    assert (image - expected).abs().max() < 0.6 / 255


def test_lossless_rgb_keeps_every_value(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (17, 23, 3), dtype=np.uint8)
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 23, 17, "bgr0"
        container.mux(stream.encode(VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    image = read_clip(tmp_path / "a.mkv", max_frames=1)[0]
    assert torch.equal((image * 255).round().byte(), torch.from_numpy(picture).permute(2, 0, 1))


@pytest.mark.parametrize(("matrix", "turns"), [((0, 1, -1, 0), 3), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 1)])
def test_rotation_of_the_file_is_applied(tmp_path, matrix, turns):
    write(tmp_path / "a.mp4", noise_clip(3) * torch.linspace(0, 1, 64))
    upright = read_clip(tmp_path / "a.mp4", max_frames=3)
    data = bytearray((tmp_path / "a.mp4").read_bytes())
    # 9 numbers of the track header, 16.16 fixed point, the last of each row 2.30
    start = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (value << 16 for value in matrix)
    data[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    (tmp_path / "a.mp4").write_bytes(data)
    with open_video(tmp_path / "a.mp4") as reader:
        assert reader.size == ((64, 48) if turns % 2 else (48, 64))
        assert torch.equal(torch.stack(list(reader)), torch.rot90(upright, turns, dims=(2, 3)))


def test_a_folder_of_pictures_is_read_in_natural_order(tmp_path):
    for number in (1, 2, 10, 9):
        write_image(tmp_path / f"frame_{number}.png", torch.full((3, 4, 5), number / 255))
    (tmp_path / "notes.txt").write_text("no picture")
    with open_video(tmp_path) as reader:
        assert (reader.size, reader.num_frames, reader.fps) == ((4, 5), 4, 25.0)
        assert [round(float(image[0, 0, 0]) * 255) for image in reader] == [1, 2, 9, 10]
        assert [time for time, _ in reader.timed()] == pytest.approx([0, 0.04, 0.08, 0.12])


def test_one_picture_is_a_clip_of_one_frame(tmp_path):
    write_image(tmp_path / "a.png", torch.zeros(3, 1, 9))
    assert read_clip(tmp_path / "a.png", max_frames=5).shape == (1, 3, 1, 9)


def test_a_folder_with_a_bad_picture_or_another_size_stops_there(tmp_path):
    for number in (1, 2, 4):
        write_image(tmp_path / f"{number}.png", torch.zeros(3, 4, 5))
    (tmp_path / "3.png").write_text("no picture")
    reader = open_video(tmp_path)
    assert len(list(reader)) == 2
    assert "stopped after 2 frames" in (reader.stopped or "")
    write_image(tmp_path / "3.png", torch.zeros(3, 4, 6))
    assert len(list(reader)) == 2
    assert "3.png is 6x4, the first is 5x4" in (reader.stopped or "")
    write_image(tmp_path / "3.png", torch.zeros(3, 4, 5))
    assert len(list(reader)) == 4
    assert reader.stopped is None


def test_a_long_clip_streams_in_flat_memory(reference):
    clip = reference / "realdata" / "fixedcam" / "vtest.avi"
    if not clip.is_file():
        pytest.skip("realdata/fixedcam/vtest.avi is not in the reference material")
    process = psutil.Process()
    early = late = 0
    with open_video(clip) as reader:
        assert (reader.size, reader.num_frames, reader.fps) == ((576, 768), 795, 10.0)
        count = 0
        for count, _ in enumerate(reader, start=1):
            if count == 100:
                early = process.memory_info().rss
        late = process.memory_info().rss
        assert count == 795
        assert reader.stopped is None
    # one frame is 5 MiB, all frames are 4 GiB
    assert late - early < 50 * 2**20


def test_a_cut_off_avi_keeps_its_frames(reference, tmp_path):
    clip = reference / "realdata" / "fixedcam" / "vtest.avi"
    if not clip.is_file():
        pytest.skip("realdata/fixedcam/vtest.avi is not in the reference material")
    with clip.open("rb") as file:
        (tmp_path / "cut.avi").write_bytes(file.read(700_000))
    with open_video(tmp_path / "cut.avi") as reader:
        count = sum(1 for _ in reader)
        assert 30 < count < 120
        assert f"stopped after {count} frames" in (reader.stopped or "")


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.ts", "folder"])
def test_a_clip_may_be_entered_in_its_middle(tmp_path, name):
    path = tmp_path / name
    if name == "a.ts":  # its clock doesn't start at 0
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg2video", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for image in noise_clip(40):
                pixels = (image.permute(1, 2, 0).numpy() * 255).astype(np.uint8)
                container.mux(stream.encode(VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode(None))
    else:
        write(path, noise_clip(40))
    with open_video(path) as reader:
        whole = list(reader.timed())
        for first in (0, 1, 17, 39):
            entered = list(reader.timed(from_s=whole[first][0]))
            assert [time_s for time_s, _ in entered] == [time_s for time_s, _ in whole[first:]]
            assert all(torch.equal(one, two) for (_, one), (_, two) in zip(entered, whole[first:], strict=True))
            assert reader.stopped is None
        assert list(reader.timed(from_s=99)) == []
