"""Data as people have them: files at one commit of a repository or on disk, and the rows that they hold."""
