"""The forecaster: how it is made of features and members, fitted, saved, and asked.

In import order: panel, known, ridge, profiles, features; members, ensemble, asked, forecaster; answering, columns,
foreign, foreignbundle; bundle; training, trainreport, watching; and baseline, the forecast without a model.
"""
