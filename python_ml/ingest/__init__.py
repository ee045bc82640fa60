"""Bringing a shop's rows into the raw schema, whole and accounted for."""
