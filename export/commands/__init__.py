"""One thin module per command: its options, and what it prints."""
