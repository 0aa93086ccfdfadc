"""Writes data/raw/churn.csv: customers of a telephone company, generated from a seed. An existing file stays.

The columns are those of IBM's Telco table. Whether a customer leaves is drawn from a probability that depends on the
contract, the months as a customer, the kind of internet, the services and the way of payment.
"""

from pathlib import Path

import numpy as np
import pandas as pd

TARGET_FILE = Path(__file__).parent / "data" / "raw" / "churn.csv"
CUSTOMERS = 5_000
SERVICES = ("OnlineSecurity", "OnlineBackup", "DeviceProtection", "TechSupport", "StreamingTV", "StreamingMovies")
CONTRACTS = ("Month-to-month", "One year", "Two year")
PAYMENTS = ("Electronic check", "Mailed check", "Bank transfer (automatic)", "Credit card (automatic)")


def main() -> None:
    if TARGET_FILE.exists():
        return
    TARGET_FILE.parent.mkdir(parents=True, exist_ok=True)
    customers(np.random.default_rng(7)).to_csv(TARGET_FILE, index=False, lineterminator="\n")


def customers(draw: np.random.Generator) -> pd.DataFrame:
    contract = draw.choice(3, CUSTOMERS, p=[0.55, 0.21, 0.24])
    tenure = np.minimum(draw.gamma(1.1 + 1.2 * contract, 16, CUSTOMERS), 72).astype(int)
    internet = draw.choice(["DSL", "Fiber optic", "No"], CUSTOMERS, p=[0.34, 0.44, 0.22])
    phone = draw.choice(["Yes", "No"], CUSTOMERS, p=[0.9, 0.1])
    found = pd.DataFrame(
        {
            "customerID": [f"{number:04d}-GEN" for number in range(CUSTOMERS)],
            "gender": draw.choice(["Female", "Male"], CUSTOMERS),
            "SeniorCitizen": (draw.random(CUSTOMERS) < 0.16).astype(int),
            "Partner": draw.choice(["Yes", "No"], CUSTOMERS),
            "Dependents": draw.choice(["Yes", "No"], CUSTOMERS, p=[0.3, 0.7]),
            "tenure": tenure,
            "PhoneService": phone,
            "MultipleLines": np.where(phone == "No", "No phone service", draw.choice(["Yes", "No"], CUSTOMERS)),
            "InternetService": internet,
            **{name: _service(internet, draw) for name in SERVICES},
            "Contract": np.array(CONTRACTS)[contract],
            "PaperlessBilling": draw.choice(["Yes", "No"], CUSTOMERS, p=[0.6, 0.4]),
            "PaymentMethod": draw.choice(PAYMENTS, CUSTOMERS, p=[0.34, 0.23, 0.22, 0.21]),
        }
    )
    found["MonthlyCharges"] = _charges(found, draw)
    total = (found["MonthlyCharges"] * tenure * draw.normal(1, 0.03, CUSTOMERS)).round(2)
    found["TotalCharges"] = total.astype(str).where(tenure > 0, " ")
    found["Churn"] = np.where(draw.random(CUSTOMERS) < _probability(found), "Yes", "No")
    return found


def _service(internet: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    return np.where(internet == "No", "No internet service", draw.choice(["Yes", "No"], len(internet), p=[0.4, 0.6]))


def _charges(found: pd.DataFrame, draw: np.random.Generator) -> pd.Series:
    base = found["InternetService"].map({"DSL": 25.0, "Fiber optic": 50.0, "No": 0.0})
    services = sum((found[name] == "Yes") * 6.0 for name in SERVICES)
    lines = (found["PhoneService"] == "Yes") * 19.5 + (found["MultipleLines"] == "Yes") * 5
    return (base + services + lines + draw.normal(0, 1, len(found)).clip(-3, 3)).clip(18).round(2)


def _probability(found: pd.DataFrame) -> pd.Series:
    odds = (
        -0.3
        + found["Contract"].map(dict(zip(CONTRACTS, (0.0, -1.5, -2.6), strict=True)))
        - 0.035 * found["tenure"]
        + found["InternetService"].map({"DSL": 0.0, "Fiber optic": 1.2, "No": -1.0})
        - 0.5 * (found["OnlineSecurity"] == "Yes")
        - 0.5 * (found["TechSupport"] == "Yes")
        + 0.5 * (found["PaymentMethod"] == "Electronic check")
        + 0.3 * (found["PaperlessBilling"] == "Yes")
        + 0.3 * found["SeniorCitizen"]
        + 0.6 * (found["tenure"] < 6)
    )
    return 1 / (1 + np.exp(-odds))


if __name__ == "__main__":
    main()
