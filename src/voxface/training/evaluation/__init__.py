"""Evaluation of networks on people who were not learnt from.

* `are_table`: Wu 2022, Table 1: absolute ratio errors (ARE) per ratio; errors of landmarks and vertices, gains over a baseline
* `face_scores`: those errors of meshes of any method, and of measurements; `region_errors`: what ICP leaves of each region
* `measurement_errors`: measurements in millimetres, within a sex too
* `geometry_methods`, `geometry_tables`, `geometry_figures`: methods of the geometry suite, and what is shown of them
* `held_out`: the same errors of a network on the people of a split
* `verification`: speaker verification: equal error rate (EER) and area under the ROC (AUC)
* `sex_probability`: how steeply a mesh speaks for its speaker's sex
* `generated_faces`: identity and sex of generated pictures (Wen 2019, §4.2)
* `picture_judge`: network that judges generated pictures
* `frechet`, `kernel_distance`: Fréchet and kernel distance (KID) between sets of pictures
* `likeness`: cosine and ranks of generated faces in a gallery; `classifier_score`: Inception-like score
* `face_networks`: networks that look at pictures, the judge and those of users
* `picture_sets`, `picture_tables`: sets of pictures that are compared, and their tables
* `predictions`, `mesh_files`, `recordings`: files of another method, and the names they have
* `intervals`: confidence intervals
* `baselines/`: what trained networks have to beat
"""
