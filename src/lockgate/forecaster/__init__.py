"""Forecasters: raw rows in, forecasts with bounds out."""
