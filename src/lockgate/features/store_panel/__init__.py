"""The recipe of a panel of stores: a ridge for each store, group statistics, and what boosters learn beside them."""
