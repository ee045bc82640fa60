"""Telling people what came out."""
