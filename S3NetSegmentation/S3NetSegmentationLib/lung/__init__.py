"""The anatomy: body, slices, clusters, decision, airways, left and right."""
