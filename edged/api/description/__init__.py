"""The table of all routes, and the OpenAPI document that is made from it."""
