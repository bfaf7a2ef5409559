"""The loop: what a night does at each tick, how it begins, how it is told things."""
