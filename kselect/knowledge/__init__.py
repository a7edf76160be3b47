"""Knowledge: the kinds of thing a teacher can transfer, one file each."""
