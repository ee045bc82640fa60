"""Experiments: what a developer runs to judge a design, and no command of the product needs."""
