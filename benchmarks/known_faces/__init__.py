"""Trainings in worlds of people whose true faces are known, and the comparison of their errors."""
