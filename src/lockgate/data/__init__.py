"""From files to typed tables: reading, checks, the generated chain, the split, the data card.

In import order: textfile, sheets, cells, contradictions, tables; calendar, occasions, demand, shocks, generator;
holdout, datacard, prepared.
"""
