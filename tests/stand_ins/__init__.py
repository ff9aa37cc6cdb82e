"""What tests work with in place of the real thing: small models and bundles, fake devices, files in published formats."""
