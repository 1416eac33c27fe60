"""The variants of the versions that answer: which of them are loaded, and what each was seen to need on this device."""
