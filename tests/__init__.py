"""The tests: a folder a room, `support` for what several of them use, `tools` for authors."""
