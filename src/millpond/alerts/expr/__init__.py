"""A subset of PromQL that means here what it means in Prometheus."""
