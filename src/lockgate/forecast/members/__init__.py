"""The boosters of the blend, one file a library. Each offers `fit` and `restore`; both lead to a `Booster`."""
