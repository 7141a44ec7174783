"""Classifiers of single patches, shared by `patch_knn` and `patch_logistic`."""
