"""The data room: labelled files in, checked datasets out. `split` needs numpy alone, the rest polars."""
