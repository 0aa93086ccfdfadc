"""Files to typed tables: reading, checking, splitting, the data card."""
