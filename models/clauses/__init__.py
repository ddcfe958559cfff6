"""Training, ranking, calibration and evaluation of the clause specialists."""
