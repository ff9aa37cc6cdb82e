"""Networks of both papers; layers and state-dict names are those of the published checkpoints.

* `voice_encoder`: log-mel -> voice embedding (Wen 2019, Table 2)
* `face_generator`: voice embedding -> picture (Wen 2019, Table 2)
* `face_critic`: face embedding network, discriminator and classifier (Wen 2019, Table 2)
* `mesh_regressor`: voice embedding -> coefficients (Wu 2022, §3.2)
* `shrunk_mesh`: a mesh regressor drawn towards the mean face of the sex heard
* `joint_mesh`: face generator and student in one (Wu 2022, Fig. 3)
* `experts/`: picture -> coefficients and pose: our own network, 3DDFA-V2, SynergyNet
* `mobilenet_v2`, `plain_trunk`: convolutional trunks of the experts
* `frozen`: wrapper of a network that is not trained
* `he_initialisation`, `spectral_normalisation`: of convolutional networks
"""

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
