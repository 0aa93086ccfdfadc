"""Writes data/raw/used_cars.csv: advertisements of used cars, generated from a seed. An existing file stays.

The columns and their units in text are those of CarDekho's table; one row in seven is there twice. The price depends on
the model, its age, its power, the distance driven, the owners and the seller, with noise of about 15 %.
"""

from pathlib import Path

import numpy as np
import pandas as pd

TARGET_FILE = Path(__file__).parent / "data" / "raw" / "used_cars.csv"
CARS, LAST_YEAR, NOISE = 5_000, 2020, 0.15
MODELS = {  # displacement in CC, power in bhp, price of a new car in lakh rupees
    "Maruti Alto": (796, 47, 3.5), "Maruti Swift": (1248, 74, 7.0), "Maruti Wagon R": (998, 67, 5.0),
    "Hyundai i20": (1197, 82, 7.5), "Hyundai Creta": (1582, 126, 13.0), "Hyundai Santro": (1086, 62, 4.5),
    "Honda City": (1497, 118, 11.0), "Honda Amaze": (1199, 88, 7.5), "Tata Indica": (1405, 70, 4.5),
    "Mahindra Scorpio": (2179, 120, 13.5), "Mahindra XUV500": (2179, 155, 16.0), "Toyota Innova": (2494, 102, 16.5),
    "Toyota Corolla": (1798, 138, 17.0), "Ford Figo": (1498, 99, 6.5), "Skoda Rapid": (1598, 104, 10.5),
    "BMW X1": (1995, 190, 38.0), "Audi A4": (1968, 187, 42.0), "Jaguar XF": (1999, 177, 50.0),
}  # fmt: skip
VARIANTS = {"LXI": 0.95, "VXI": 1.0, "ZXI": 1.1, "LX": 0.97, "VX": 1.05, "Titanium": 1.12}
OWNERS = ("First Owner", "Second Owner", "Third Owner", "Fourth & Above Owner")


def main() -> None:
    if TARGET_FILE.exists():
        return
    TARGET_FILE.parent.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(7)
    found = cars(draw)
    twice = pd.concat([found, found.sample(CARS // 7, random_state=7)])
    twice.iloc[draw.permutation(len(twice))].to_csv(TARGET_FILE, index=False, lineterminator="\n")


def cars(draw: np.random.Generator) -> pd.DataFrame:
    names = list(MODELS)
    weights = np.array([1 / MODELS[name][2] ** 0.7 for name in names])
    model = draw.choice(len(names), CARS, p=weights / weights.sum())
    engine, power, new_price = np.array(list(MODELS.values()))[model].T
    variant = draw.choice(list(VARIANTS), CARS)
    diesel = draw.random(CARS) < np.where(engine > 1400, 0.8, 0.3)
    age = np.minimum(draw.gamma(3, 2, CARS), 22).astype(int)
    km = (draw.gamma(3, 4_000, CARS) * (age + 1) / 500).astype(int) * 500 + 1_000
    owner = np.minimum(draw.poisson(0.06 * age), 3)
    automatic = draw.random(CARS) < np.where(new_price > 15, 0.6, 0.08)
    dealer = draw.random(CARS) < 0.16
    log = np.log(new_price * 1e5 * pd.Series(variant).map(VARIANTS)) - 0.11 * age - 0.0012 * age**2
    log += 0.08 * diesel + 0.1 * automatic + 0.06 * dealer - 0.08 * owner - 1e-6 * km + draw.normal(0, NOISE, CARS)
    mileage = 32 - 0.006 * engine + 3 * diesel + draw.normal(0, 1, CARS)
    torque, speed = (power * 1.9 * (1 + 0.4 * diesel)).round(), draw.choice([1750, 2000, 3500], CARS)
    found = pd.DataFrame(
        {
            "name": [f"{names[place]} {each}" for place, each in zip(model, variant, strict=True)],
            "year": LAST_YEAR - age,
            "selling_price": (np.exp(log) / 1_000).round().astype(int) * 1_000,
            "km_driven": km,
            "fuel": np.where(diesel, "Diesel", "Petrol"),
            "seller_type": np.where(dealer, "Dealer", "Individual"),
            "transmission": np.where(automatic, "Automatic", "Manual"),
            "owner": np.array(OWNERS)[owner],
            "mileage": [f"{value:.1f} kmpl" for value in mileage],
            "engine": [f"{value:.0f} CC" for value in engine],
            "max_power": [f"{value:g} bhp" for value in power],
            "torque": [f"{value:.0f}Nm@ {at}rpm" for value, at in zip(torque, speed, strict=True)],
            "seats": np.where(engine > 2100, 7, 5),
        }
    )
    unknown = draw.random(CARS) < 0.027
    found.loc[unknown, ["mileage", "engine", "max_power", "torque", "seats"]] = None
    found.loc[found.index[0], "max_power"] = " bhp"
    return found


if __name__ == "__main__":
    main()
