// Package netatmo is a client of the Netatmo Connect cloud API: it asks,
// within the quota, for the state of weather stations, home coaches and
// thermostats and for their history, and turns the answers into readings.
//
// The API is loosely typed and changes without notice, so every field is
// optional, every number may arrive as an integer, a float, a string or null,
// and an answer that is not understood costs the module it concerns and
// nothing else. What a device may say is one table: under which key, and how
// the JSON there becomes a number. Keys that are not in it for a type of device
// are ignored.
//
// Failures are judged by Netatmo's own error code, not by the HTTP status, of
// which one stands for four different troubles. All callers of a process share
// a Gate, so that one of them being told to wait stops the others too.
package netatmo
