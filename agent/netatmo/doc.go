// Package netatmo is a client of the Netatmo Connect cloud API. It requests,
// within the quota, the state and the history of weather stations, home coaches
// and the devices of homes, and turns the answers into readings.
//
// The API is loosely typed and changes without notice. Every field is optional,
// and a number may arrive as an integer, a float, a string or null. A part of an
// answer that the client does not understand affects only its module. Tables say
// which keys each type of device has and how the JSON becomes a number; all
// other keys are ignored.
//
// Netatmo's own error code decides what a failure means, not the HTTP status,
// because Netatmo uses one status for four different failures. All callers in a
// process share a Gate, so that all of them wait when Netatmo tells one to wait.
package netatmo
