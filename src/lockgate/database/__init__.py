"""Postgres: one file for each table, and the SQL of schema lockgate."""
