"""What makes a release: locks with hashes, a bill of materials, the tag. See docs/releasing.md."""
