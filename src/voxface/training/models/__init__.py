"""The networks of both papers. Layer layout and state-dict names are those of the published checkpoints."""

from voxface.training.models.face_critic import Classifier, Discriminator, FaceEmbedding
from voxface.training.models.face_generator import FaceGenerator
from voxface.training.models.mesh_regressor import MeshRegressor
from voxface.training.models.mobilenet_v2 import MobileNetV2
from voxface.training.models.voice_encoder import VoiceEncoder

__all__ = [
    "Classifier",
    "Discriminator",
    "FaceEmbedding",
    "FaceGenerator",
    "MeshRegressor",
    "MobileNetV2",
    "VoiceEncoder",
]
