"""What to run next and what to believe."""
