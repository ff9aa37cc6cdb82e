"""Baselines that the trained networks have to beat.

* `cascade`: face generator and image-to-3D expert one after the other (Wu 2022, Fig. 6, "Base")
* `mean_faces`: the mean face, and the mean face of the sex
* `linear_cues`, `linear_embedding`: a linear map from pitch, vocal-tract length and sex, or from the voice embedding
* `dimnet`, `svhf`: classifiers of voices and faces that Wen 2019 stands beside, on frozen `features`
"""
