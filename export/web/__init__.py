"""A static page that runs a bundle in the browser."""
