"""Loss over size and data: laws fitted to runs, with intervals and what speaks against them."""
