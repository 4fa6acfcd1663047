"""Updates of a device: fetch a new version of a bundle, check it here, go over to it, or back."""
