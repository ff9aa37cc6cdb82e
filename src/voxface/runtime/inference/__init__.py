"""From speech to a face: the engines of a bundle, the estimate they give, and how far it can be trusted."""
