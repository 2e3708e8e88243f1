"""Pages of one file: words, drawings and the frame that every HTML page stands in."""
