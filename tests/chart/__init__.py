"""The Helm chart and the container image; `./run chart` has what most of it takes."""
