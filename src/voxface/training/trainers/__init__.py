"""Trainers: a straight-line script per network, with all its hyper-parameters in one dataclass and its presets.

* `voice_encoder`: voice encoder, by speaker identification (Wen 2019, §3.1)
* `face_gan`: face generator against discriminator and classifier (Wen 2019, Algorithm 1)
* `gan_step`: the step of Algorithm 1, shared by `face_gan` and `joint`
* `mesh`: voice -> coefficients with 3D ground truth (Wu 2022, §3.2)
* `mesh_shrinkage`: how far its faces are drawn towards the mean face of the sex heard
* `face_posterior`: the distribution of faces about those of the mesh network
* `joint`: voice -> picture -> coefficients without 3D ground truth (Wu 2022, §3.3)
* `triplets`: anchors, positives and negatives of `mesh` and `joint` (Wu 2022, §4)
* `expert`: picture -> coefficients and pose, on renders
* `portrait`: voice -> neutral picture of its mesh
* `speaker_change`, `speaker_change_streams`: the speaker change detector of a bundle, and the streams that it is fitted to
* `speaker_embedding`: the detector's network
* `part_command`: command line of the trainers that add a trained part to a bundle
* `speech_modulation`: weights that tell speech from music and noise
"""
