"""What a bundle says, holds and must answer."""
