"""Features of a plain table: numbers, categories, dates, missing indicators, target encoding, group statistics."""
