"""Tests of what is around the package: dependencies, Makefile, Binder, README, the tests' last lines."""
