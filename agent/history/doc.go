// Package history delivers the measurements that Netatmo kept during an outage of
// the agent, the backend, the network or the station.
//
// One loop serves two ledgers. The agent's ledger lists what the record owes: gaps,
// and second looks at filled gaps. The ledger of the command "backfill" lists what
// is left of the period that the user names. The loop takes the window that is
// furthest behind, reads a page of it, pushes a part of the page, and has the
// ledger move the mark. No module's points run more than half an hour ahead of
// another's, because some backends reject points that are much older than their
// newest.
//
// The tests in agent/poll run poll, record and history together, against a
// simulated Netatmo.
package history
