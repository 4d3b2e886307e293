//go:build race

package main

// soakDays is lower, because the race detector makes a day take ten times as
// long.
const soakDays = 4
