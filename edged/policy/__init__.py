"""Policy files: ordered rules about which variant answers, what waits, what is refused; with their own tests."""
