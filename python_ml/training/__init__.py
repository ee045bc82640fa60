"""Training of binary predictions: split, fit, calibrate, choose, keep."""
