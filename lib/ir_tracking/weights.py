"""Trained Siamese networks in files: weights, and in the header the settings that they belong to."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from lib.data.atomic import appears_whole
from lib.data.checkpoint import fill, read_checkpoint
from lib.data.weights import weights_file
from lib.errors import DataMissing, LabError
from lib.ir_tracking.network import SiameseNetwork
from lib.ir_tracking.network_settings import NetworkSettings

SHIPPED = "ir_siamese"
HEADER = "network_settings"


def load_network(source: str | Path = SHIPPED) -> SiameseNetwork:
    """The trained network of a file, in evaluation mode on the CPU.

    source: "ir_siamese", which is shipped, another name of the weights manifest, or a .safetensors file of
    `save_network`. Raises Unavailable or DataMissing when it is not there, LabError when it is of something else.
    """
    path = weights_file(str(source)).path if str(source).isidentifier() else Path(source)
    weights = read_checkpoint(path)
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise DataMissing(f"{path} is not a readable safetensors file ({error}); fetch it again") from error
    if HEADER not in header:
        raise LabError(f"{path} must be a Siamese network of this project: its header has no {HEADER}")
    network = SiameseNetwork(NetworkSettings.from_dict(json.loads(header[HEADER])))
    fill(network, weights, source=str(path))
    return network.eval()


def save_network(network: SiameseNetwork, path: Path) -> None:
    """Writes weights and settings as .safetensors; appears whole or not at all."""
    weights = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    with appears_whole(path) as part:
        part.write_bytes(save(weights, metadata={HEADER: json.dumps(network.settings.as_dict())}))
