"""The OpenAPI document of a server: the operations of its pools with their schemas, and its other routes."""
