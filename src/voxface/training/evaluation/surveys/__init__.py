"""Surveys of preference (Wu et al. 2022, Fig. 12).

* `survey`: thirty questions as one page; `survey_pictures`, `survey_files`: its pictures and its folder
* `survey_results`: what the answers say; `preference`: Eq. 8, threshold and power
"""
