"""What a server keeps: the database, and blobs."""
