"""Evaluation of networks on people who were not learnt from.

* `are_table`: Wu 2022, Table 1: absolute ratio errors (ARE) per ratio; errors of landmarks and vertices, gains over a baseline
* `held_out`: the same errors of a network on the people of a split
* `verification`: speaker verification: equal error rate (EER) and area under the ROC (AUC)
* `sex_probability`: how steeply a mesh speaks for its speaker's sex
* `generated_faces`: identity and sex of generated pictures (Wen 2019, §4.2)
* `picture_judge`: network that judges generated pictures
* `frechet`: Fréchet distance between sets of pictures
* `intervals`: confidence intervals
* `baselines/`: what trained networks have to beat
"""
