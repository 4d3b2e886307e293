// Package netatmo is a client of the Netatmo Connect cloud API: it asks,
// within the quota, for the state of weather stations, home coaches and
// thermostats and for their history, and turns the answers into readings.
//
// The API is loosely typed and changes without notice, so every field is
// optional, every number may arrive as an integer, a float, a string or null,
// and an answer that is not understood costs the module it concerns and
// nothing else.
package netatmo
