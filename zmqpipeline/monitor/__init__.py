"""What can be seen of a run: snapshots, and those who show them."""
