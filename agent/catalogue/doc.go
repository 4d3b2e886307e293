// Package catalogue is the one table of everything the agent reports: which
// field of a reading becomes which metric, in which unit, how long a value may
// be repeated, and which of Netatmo's history fills its gaps.
//
// Instruments, history requests, the README's table and the names of
// netatmo-exporter are all read from it, so that none of them can drift from
// the others. A new sensor is a new row.
package catalogue
