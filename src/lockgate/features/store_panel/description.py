"""The description of Rossmann for bundles without one: external models, and those made before bundles held theirs."""

from typing import Any

from lockgate.problem.description import Problem

ROSSMANN: dict[str, Any] = {
    "name": "rossmann",
    "title": "daily sales of a chain of stores, six weeks ahead",
    "sources": [{"file": "train.csv"}, {"file": "store.csv", "key": ["Store"]}],
    "target": "Sales",
    "keys": ["Store"],
    "time": {"column": "Date"},
    "horizon": 42,
    "known_covariates": ["Open", "Promo", "StateHoliday", "SchoolHoliday"],
    "past_covariates": ["Customers"],
    "static_features": [
        "StoreType",
        "Assortment",
        "CompetitionDistance",
        "CompetitionOpenSinceMonth",
        "CompetitionOpenSinceYear",
        "Promo2",
        "Promo2SinceWeek",
        "Promo2SinceYear",
        "PromoInterval",
    ],
    "checks": {"DayOfWeek": "weekday"},
    "row_id": "Id",
    "columns": {
        "Store": {"type": "integer", "range": [1, 1000000]},
        "DayOfWeek": {"type": "integer", "range": [1, 7]},
        "Date": {"type": "date"},
        "Sales": {"type": "integer", "range": [0, 10000000]},
        "Customers": {"type": "integer", "range": [0, 10000000]},
        "Open": {"type": "flag", "missing": "taken as open", "full_history": True},
        "Promo": {"type": "flag"},
        "StateHoliday": {"type": "category", "categories": ["0", "a", "b", "c"]},
        "SchoolHoliday": {"type": "flag"},
        "StoreType": {"type": "category", "categories": ["a", "b", "c", "d"], "file": "store.csv"},
        "Assortment": {"type": "category", "categories": ["a", "b", "c"], "file": "store.csv"},
        "CompetitionDistance": {"type": "number", "range": [0, 10000000], "missing": "unknown", "file": "store.csv"},
        "CompetitionOpenSinceMonth": {"type": "integer", "range": [1, 12], "missing": "unknown", "file": "store.csv"},
        "CompetitionOpenSinceYear": {
            "type": "integer",
            "range": [1800, 2100],
            "missing": "unknown",
            "file": "store.csv",
        },
        "Promo2": {"type": "flag", "file": "store.csv"},
        "Promo2SinceWeek": {"type": "integer", "range": [1, 53], "missing": "unknown", "file": "store.csv"},
        "Promo2SinceYear": {"type": "integer", "range": [1990, 2100], "missing": "unknown", "file": "store.csv"},
        "PromoInterval": {"type": "months", "file": "store.csv"},
        "Id": {"type": "integer", "range": [0, 4611686018427387904]},
    },
    "where": {"column": "Open", "equals": 1, "otherwise": 0},
    "rules": [
        {"when": {"Open": 0}, "then": {"Sales": 0}},
        {"when": {"Open": 0}, "then": {"Customers": 0}},
        {"when": {"Promo2": 1}, "filled": ["PromoInterval"]},
    ],
    "metric": "rmspe",
    "baseline": "seasonal_naive",
    "slices": ["StoreType", "Assortment", "Promo", "week", "size"],
    "features": ["store_panel"],
    "members": ["lightgbm", "xgboost", "catboost", "linear"],
}

PROBLEM = Problem.model_validate(ROSSMANN)
