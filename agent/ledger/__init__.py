"""Every write, every question, the schema."""
