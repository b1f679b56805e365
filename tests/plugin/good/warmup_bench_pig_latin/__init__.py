"""A third party's plugins, as pip installs them: nothing here imports the tests or the built-in plugins."""
