"""HTTP: translates the bodies of each dialect into calls of `modwright.serving`."""
