"""What is trained: tasks, and the parts they are built from."""
