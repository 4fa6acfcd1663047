"""Is transfer learning worth it? Four runs on the same test images, and a report."""
