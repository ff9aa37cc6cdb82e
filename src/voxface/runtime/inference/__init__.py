"""From speech to a face: the engines of a bundle, the estimate that they give, and its confidence."""
