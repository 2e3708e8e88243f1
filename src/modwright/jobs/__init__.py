"""Work in the background: a queue of jobs, and the workers that do them."""
