"""Experts: networks that read a 3D face from a picture.

* `expert`: their common interface
* `own`: the network that `train expert` trains
* `published`: 3DDFA-V2 and SynergyNet, from their authors' files
* `mobilenet_v1`: trunk of 3DDFA-V2
"""
