"""Steps before and after a model, as data and as computations."""
