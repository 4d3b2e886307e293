// Package catalogue is the table of everything that the agent exports: the
// metric and unit of each field, the states of those that are states, and the
// history at Netatmo that fills gaps.
//
// Instruments, history requests, the README's table and the names of
// netatmo-exporter all derive from it, so that they cannot differ. A new sensor
// is a new row.
package catalogue
