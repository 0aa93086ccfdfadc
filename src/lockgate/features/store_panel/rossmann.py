"""The columns of Rossmann that these features read, and its description for bundles without one.

This is the only module that names columns of Rossmann. External models, and bundles made before they held the
description of their problem, have none.
"""

from typing import Any

from lockgate.problem.description import Problem

STORE = "Store"
DAY_OF_WEEK = "DayOfWeek"
DATE = "Date"
SALES = "Sales"
CUSTOMERS = "Customers"
OPEN = "Open"
PROMO = "Promo"
STATE_HOLIDAY = "StateHoliday"
SCHOOL_HOLIDAY = "SchoolHoliday"
STORE_TYPE = "StoreType"
ASSORTMENT = "Assortment"
COMPETITION_DISTANCE = "CompetitionDistance"
COMPETITION_MONTH = "CompetitionOpenSinceMonth"
COMPETITION_YEAR = "CompetitionOpenSinceYear"
PROMO2 = "Promo2"
PROMO2_WEEK = "Promo2SinceWeek"
PROMO2_YEAR = "Promo2SinceYear"
PROMO_INTERVAL = "PromoInterval"
ROW_ID = "Id"

DESCRIPTION: dict[str, Any] = {
    "name": "rossmann",
    "title": "daily sales of a chain of stores, six weeks ahead",
    "sources": [{"file": "train.csv"}, {"file": "store.csv", "key": [STORE]}],
    "target": SALES,
    "keys": [STORE],
    "time": {"column": DATE},
    "horizon": 42,
    "known_covariates": [OPEN, PROMO, STATE_HOLIDAY, SCHOOL_HOLIDAY],
    "past_covariates": [CUSTOMERS],
    "static_features": [
        STORE_TYPE,
        ASSORTMENT,
        COMPETITION_DISTANCE,
        COMPETITION_MONTH,
        COMPETITION_YEAR,
        PROMO2,
        PROMO2_WEEK,
        PROMO2_YEAR,
        PROMO_INTERVAL,
    ],
    "checks": {DAY_OF_WEEK: "weekday"},
    "row_id": ROW_ID,
    "columns": {
        STORE: {"type": "integer", "range": [1, 1000000]},
        DAY_OF_WEEK: {"type": "integer", "range": [1, 7]},
        DATE: {"type": "date"},
        SALES: {"type": "integer", "range": [0, 10000000]},
        CUSTOMERS: {"type": "integer", "range": [0, 10000000]},
        OPEN: {"type": "flag", "missing": "taken as open", "full_history": True},
        PROMO: {"type": "flag"},
        STATE_HOLIDAY: {"type": "category", "categories": ["0", "a", "b", "c"]},
        SCHOOL_HOLIDAY: {"type": "flag"},
        STORE_TYPE: {"type": "category", "categories": ["a", "b", "c", "d"], "file": "store.csv"},
        ASSORTMENT: {"type": "category", "categories": ["a", "b", "c"], "file": "store.csv"},
        COMPETITION_DISTANCE: {"type": "number", "range": [0, 10000000], "missing": "unknown", "file": "store.csv"},
        COMPETITION_MONTH: {"type": "integer", "range": [1, 12], "missing": "unknown", "file": "store.csv"},
        COMPETITION_YEAR: {
            "type": "integer",
            "range": [1800, 2100],
            "missing": "unknown",
            "file": "store.csv",
        },
        PROMO2: {"type": "flag", "file": "store.csv"},
        PROMO2_WEEK: {"type": "integer", "range": [1, 53], "missing": "unknown", "file": "store.csv"},
        PROMO2_YEAR: {"type": "integer", "range": [1990, 2100], "missing": "unknown", "file": "store.csv"},
        PROMO_INTERVAL: {"type": "months", "file": "store.csv"},
        ROW_ID: {"type": "integer", "range": [0, 4611686018427387904]},
    },
    "where": {"column": OPEN, "equals": 1, "otherwise": 0},
    "rules": [
        {"when": {OPEN: 0}, "then": {SALES: 0}},
        {"when": {OPEN: 0}, "then": {CUSTOMERS: 0}},
        {"when": {PROMO2: 1}, "filled": [PROMO_INTERVAL]},
    ],
    "metric": "rmspe",
    "baseline": "seasonal_naive",
    "slices": [STORE_TYPE, ASSORTMENT, PROMO, "week", "size"],
    "features": ["store_panel"],
    "members": ["lightgbm", "xgboost", "catboost", "linear"],
}

PROBLEM = Problem.model_validate(DESCRIPTION)
