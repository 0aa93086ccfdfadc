"""Predictions on record: the rows asked, the answers, the version. Nothing acknowledged is lost or doubled."""
