"""How fast the engine is, what it could be at best here, and what others take for the same."""
