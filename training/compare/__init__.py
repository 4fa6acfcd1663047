"""VGG16, frozen and fine-tuned, against a small CNN on the same test images: runs and report."""
