"""Looks at a table: guesses its description, checks data before any training, writes a problem folder."""
