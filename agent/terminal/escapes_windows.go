package terminal

import "golang.org/x/sys/windows"

// escapes asks the console to interpret escape sequences, which it does not do by
// itself, and reports whether it does.
func escapes(fd int) bool {
	var mode uint32
	console := windows.Handle(fd)
	return windows.GetConsoleMode(console, &mode) == nil &&
		windows.SetConsoleMode(console, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
