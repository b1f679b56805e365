"""What a results folder holds, and how it is written, locked, read, migrated and published."""
