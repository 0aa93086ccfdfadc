"""Two versions side by side: records, forecasts, tables, a page."""

import lockgate.reports  # noqa: F401 - silences matplotlib, which must not be imported before
