// Package poll asks Netatmo at the right moments and hands the answers to the
// record.
//
// A station uploads about every 606 s and the phase drifts, so a poll at fixed
// times sees values that are up to ten minutes old. The schedule therefore
// follows each station: it polls a few seconds after the next upload is due.
//
// A [Poller] has one loop over tasks: a family of stations, the list of homes,
// each home. Every task has a due time and, if that is later than usual, the
// reason. Due tasks run concurrently, but never the same task twice at once, so
// that a slow answer delays no other task. Homes take at most half of the
// requests. Only the loop touches tasks; a task's request runs in a goroutine that
// touches nothing.
package poll
