package netatmo_test

import (
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"netatmo-agent/agent/netatmo"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestGolden compares the readings of invented answers, which have the known
// quirks of Netatmo's answers, with the expected ones.
func TestGolden(t *testing.T) {
	c := serve(t, netatmo.Options{}, func(w http.ResponseWriter, r *http.Request) {
		file := map[string]string{
			"/api/getstationsdata":   "stations",
			"/api/gethomecoachsdata": "coaches",
			"/api/homesdata":         "homes",
			"/api/homestatus":        "home-" + r.FormValue("home_id"),
		}[r.URL.Path]
		http.ServeFile(w, r, filepath.Join("testdata", file+".json"))
	})
	golden(t, "stations", func(out *bytes.Buffer) error {
		a, err := c.Weather(t.Context(), true)
		show(out, a)
		return err
	})
	golden(t, "coaches", func(out *bytes.Buffer) error {
		a, err := c.HomeCoaches(t.Context())
		show(out, a)
		return err
	})
	golden(t, "homes", func(out *bytes.Buffer) error {
		homes, err := c.Homes(t.Context())
		for _, h := range homes {
			fmt.Fprintf(out, "home %s %q\n", h.ID, h.Name)
			a, err := c.HomeStatus(t.Context(), h)
			if err != nil {
				return err
			}
			show(out, a)
			fmt.Fprintln(out)
		}
		return err
	})
}

func golden(t *testing.T, name string, write func(*bytes.Buffer) error) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		var got bytes.Buffer
		if err := write(&got); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", name+".golden")
		if *update {
			if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("readings differ from %s (go test -update rewrites it):\n%s", file, got.Bytes())
		}
	})
}
