"""What several verbs share: their options, what they print, and the person at the terminal."""
