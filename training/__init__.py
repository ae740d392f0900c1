"""What is trained, and the commands that do it. Not part of the wheel: only the small files that come out are."""
