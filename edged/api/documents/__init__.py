"""What edged's own endpoints take and give, as types that command lines read, too."""
