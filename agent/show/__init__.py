"""From findings to what a person looks at: terminal, table, page."""
