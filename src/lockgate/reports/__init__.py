"""Plots and HTML."""
