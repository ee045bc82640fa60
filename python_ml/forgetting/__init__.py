"""Removing one customer from a home, for good.

Raw tables, features, scores and runs are otherwise only ever added to. Forgetting is the one
exception: a person's right to be forgotten stands above a shop's wish to repeat yesterday's
figures, and an append-only table that keeps the rows "superseded" has not forgotten them.
"""
