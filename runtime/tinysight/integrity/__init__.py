"""What anybody can check of a bundle: golden answers, and which images trained it."""
