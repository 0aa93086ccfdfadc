"""The boosters of the blend, one file a library. Each offers `fit` and `restore`, and what they return is a `Booster`."""
