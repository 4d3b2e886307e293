//go:build !race

package main

// soakDays is how long TestSoak lasts by default.
const soakDays = 25
