"""A small numpy GPT library: from text to a trained, measured model. It knows no experiments."""
