"""Networks that read a 3D face from a picture: our own and published ones."""
