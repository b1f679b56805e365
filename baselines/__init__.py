"""The built-in training methods, one module each: the coefficients, the formula and its source."""
