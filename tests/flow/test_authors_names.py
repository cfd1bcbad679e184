"""Files of the authors' networks are recognised by their keys, which tells a user what a wrong file is."""

import pytest

from lib.data.checkpoint import describe


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("raft_basic", "a basic RAFT"),
        ("pwclite", "a PWC-Lite"),
        ("gmflow_basic", "a basic GMFlow"),
        ("gmflow_refine", "a refined GMFlow"),
    ],
)
def test_authors_networks_are_named(name, kind, procedural):
    assert kind in describe(procedural(f"flow/{name}_procedural.json"))
