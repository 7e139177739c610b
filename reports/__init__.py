"""Pictures, pages and terminal output made from tables. Knows nothing of how the tables were made."""
