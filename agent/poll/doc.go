// Package poll asks Netatmo at the right moments, keeps the newest reading of
// every module, and sees to it that what was measured while somebody was away
// is delivered after all.
//
// A station uploads about every 606 s and the phase drifts, so a poll at fixed
// times sees values that are up to ten minutes old. The schedule therefore
// follows each station: it polls a few seconds after the next upload is due.
//
// Netatmo keeps every measurement, so the agent needs no queue of its own. It
// keeps one mark per module: how far the backend is known to have it. Where a
// reading is much newer than the one delivered before it, there is a gap,
// whoever was away: the history from the mark on is fetched and pushed with its
// own times, while the module's live values wait for it, because most backends
// take nothing older than what they have.
//
// A [Poller] has a goroutine for each family of devices, so that none waits for
// another, one that fills gaps and one that saves the [State]. The families
// merge what they are told into one snapshot, and look for gaps there; both,
// and what is known of each module's deliveries, are under Poller.mu. State and
// clock have locks of their own, which are taken after that one. None
// of them is held during a request, a push or a save.
//
// A [Backfill] is the command of that name: it has no live values and no marks,
// and reads as far back as it is told. What it shares with the filling of gaps
// (fill.go) is how a page of history is read and delivered (history.go).
package poll
