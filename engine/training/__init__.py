"""From parameters to better ones."""
