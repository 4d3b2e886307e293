// Package record holds the agent's knowledge: the newest reading of every module,
// the local clock's offset, what the backend has of each module, and what the
// agent still owes it. The package is passive: it starts no goroutine and does no
// I/O except for its state file. The packages around it poll, push and deliver
// history, and call it.
//
// Netatmo keeps every measurement, so the agent needs no queue of its own. It
// keeps one mark per module: the time up to which the backend is known to have the
// module's values. A reading that is much newer than the last delivered one reveals
// a gap, whatever caused it, and the agent owes the history after the mark
// ([Window]). The module's live values wait a short time for it, because most
// backends reject points older than their newest.
//
// One lock guards everything, and is never held during I/O. The [State] has its
// own lock, taken after that one.
package record
