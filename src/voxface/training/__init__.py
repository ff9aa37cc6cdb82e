"""Training (needs torch). Features and morphable model are those of `voxface.runtime`, so networks learn what they will get.

* `models`: networks
* `losses`: losses
* `data`: pairs of voices and faces, batches, augmentation
* `engine`: runs, checkpoints, trained networks
* `trainers`: one script per network
* `evaluation`: metrics and baselines
* `faces`: face models: populations, rendering, landmarks, fitting
* `foreign`: pickles and checkpoints of other programs, read as data
* `world`: makers of pairs, from real or synthetic voices
"""
