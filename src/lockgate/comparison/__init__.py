"""The comparison room: two versions side by side, from what is on record of them and from their forecasts.

`contrast` and `agreement` are values in, values out; `records` and `comparing` gather; `tables`, `charts` and `page`
show.
"""
