"""From rows to findings: numbers with intervals, no colours."""
