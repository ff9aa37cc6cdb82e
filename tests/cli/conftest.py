"""Pairs and a voice encoder to train with."""

from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pairs `pairs` and an untrained voice encoder `encoder`."""
    pytest.importorskip("torch", reason="torch comes with voxface[train]")
    pytest.importorskip("lightning_fabric", reason="lightning-fabric comes with voxface[train]")
    from tests.stand_ins.mesh_training import write_world

    return write_world(tmp_path_factory.mktemp("world"))
