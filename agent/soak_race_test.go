//go:build race

package main

// soakDays are fewer where the race detector makes a day take ten times as long.
const soakDays = 4
