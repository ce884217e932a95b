"""The tests of k8slab: one folder for each part of the package, `project` for what is around it."""
