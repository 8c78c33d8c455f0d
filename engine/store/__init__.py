"""The database behind the ports Store and Stream: SQLite in a folder, or PostgreSQL."""
