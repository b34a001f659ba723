"""What all tests may use: the fixtures that tuner-core gives to its users."""

pytest_plugins = ["tuner_core.testing.fixtures"]
