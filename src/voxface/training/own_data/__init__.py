"""People's own recordings and photographs as pairs to train on.

| module | what it does |
|---|---|
| `listing` | who is in two folders: recordings by speaker, photographs by person, and a table that joins them |
| `splits` | who is learnt from, chosen by and measured on |
| `recordings` | recordings -> log-mel frames |
| `pictures`, `video_frames` | photographs and videos -> pictures, one at a time |
| `photographs` | a picture -> the landmarks of its largest face |
| `photograph_faces` | all pictures of a person -> aligned pictures, a face of each, and the person's |
| `expert_fits` | faces that a published expert reads, in the place of faces fitted to landmarks |
| `voxceleb_3d`, `fit_files` | faces that others have fitted |
| `person`, `person_faces`, `config` | one person's files -> frames, pictures, faces, and what was rejected |
| `kept_people` | results of people who are done, so that a run that was killed goes on |
| `preparation` | all people -> a folder of pairs |
"""
