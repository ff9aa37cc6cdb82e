"""Errors of predicted meshes, beside those of trivial and trained baselines (Wu et al. 2022, Table 1).

* `are_table`: absolute ratio errors (ARE), key points and vertices; gains over a baseline
* `face_scores`: those errors of meshes of any method; `measurement_errors`: measurements in mm, within a sex too
* `region_errors`: what ICP leaves of each region
* `geometry_methods`, `geometry_tables`, `geometry_figures`: methods of the suite, and what is shown of them
* `heard_sexes`: the sexes that a linear classifier hears, for the trivial answer
* `held_out`: the same errors of a network on the people of a split
* `mesh_files`: meshes that another method wrote
"""
