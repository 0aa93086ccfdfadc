"""Two versions side by side: records, forecasts, tables, a page."""
