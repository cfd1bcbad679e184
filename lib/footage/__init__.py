"""What `nocturne apply` shares over all papers: the options, the places, runs that go on after a break, previews."""

from lib.footage.options import Device, Force, Out, Preview, setting
from lib.footage.places import Places
from lib.footage.preview import Shown, clips, write_preview
from lib.footage.run import Run

__all__ = ["Device", "Force", "Out", "Places", "Preview", "Run", "Shown", "clips", "setting", "write_preview"]
