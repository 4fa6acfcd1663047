"""Files that hold a picture: read with a bound, recognized, decoded in bounded memory, made RGB."""
