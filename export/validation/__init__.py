"""What an artifact must prove before it is written."""
