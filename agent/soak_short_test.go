//go:build !race

package main

// soakDays is how long TestSoak lasts if nobody says otherwise.
const soakDays = 25
