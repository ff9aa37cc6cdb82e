"""Pictures of faces, and the networks that look at them.

* `picture_judge`, `judges`: a network that judges pictures, trained once for some data and kept; `kept_networks`: its file
* `critics`: discriminator and classifier of a `train face-gan` run; `face_readers`: what both kinds have in common
* `face_networks`: the judge, and ONNX networks of users
* `frechet`, `kernel_distance`, `classifier_score`, `likeness`: FID, KID, Inception-like score, cosine and ranks
* `picture_sets`, `picture_tables`, `picture_sheets`: what is compared and shown
* `picture_classifier`: an attribute of the person, such as the sex
* `face_scoring`: matching and identity under a condition; `generated_faces`: validation of a face generator
"""
