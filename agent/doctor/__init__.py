"""What could spoil a night here."""
