// Command overview draws the picture of the README, deploy/overview.png, and
// writes it to standard output:
//
//	go run ./overview >../overview.png
//
// It previews the dashboard, with the simulated home of the demo and the tests.
// Its own background is dark, so that it looks the same on light and dark pages.
package main

import (
	"fmt"
	"os"
	"time"

	"netatmo-agent/agent/simcloud"
)

// end is midnight in the simulated home, at the end of the time that is shown.
// The simulated weather is a function of time alone, so a fixed time gives the
// same picture every time.
var end = time.Date(2026, time.March, 16, 0, 0, 0, 0, time.FixedZone("", 3600))

func main() {
	picture, err := render()
	if err == nil {
		_, err = os.Stdout.Write(picture)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func render() ([]byte, error) { return draw(simulated()) }

func simulated() *simcloud.Cloud {
	// An hour later the last samples have been uploaded.
	return simcloud.New(simcloud.Options{Now: func() time.Time { return end.Add(time.Hour) }})
}
