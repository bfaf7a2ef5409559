"""What this machine is, has and suffers."""
