"""Device entry point: the board, the application on it, and off."""

from bms.app import App
from board import Board

App(Board()).run()
