"""From text to tokens and yardsticks."""
