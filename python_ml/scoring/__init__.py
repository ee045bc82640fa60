"""Scoring: features in, probabilities with their reasons out."""
