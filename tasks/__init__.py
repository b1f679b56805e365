"""The built-in tasks, one module each, written as a third party would write them."""
