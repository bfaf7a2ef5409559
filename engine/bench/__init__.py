"""How fast the engine is, what it could be at best here, and what others take for the same.

In comes a machine with nothing else to do, out come rows of milliseconds and ratios. It uses all
of the engine, and starts PyTorch or `tokenizers` where they are asked for and installed.
"""
