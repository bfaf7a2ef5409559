"""Nights on made-up worlds."""
