"""Whether a model gives the answers it was published with, on the machine it is to run on."""
