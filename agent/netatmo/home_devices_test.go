package netatmo_test

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"netatmo-agent/agent/netatmo"
)

const homesDir = "testdata/home"

// expected returns the readings expected of the answers in homesDir, by the end
// of the home's id.
func expected(t *testing.T) map[string][]string {
	t.Helper()
	file, err := os.Open(filepath.Join(homesDir, "expected.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	all := map[string][]string{}
	home := ""
	for lines := bufio.NewScanner(file); lines.Scan(); {
		line := lines.Text()
		id, isHome := strings.CutPrefix(line, "home a")
		switch {
		case isHome:
			home = "a" + strings.Fields(id)[0]
		case line != "" && line[0] != '#':
			all[home] = append(all[home], sorted(line))
		}
	}
	return all
}

// sorted sorts the fields of a line.
func sorted(line string) string {
	i := strings.LastIndex(line, "| ") + 1
	fields := strings.Fields(line[max(i, 0):])
	slices.Sort(fields)
	if i <= 0 {
		return line
	}
	return strings.TrimSpace(line[:i] + " " + strings.Join(fields, " "))
}

func describeReading(r netatmo.Reading) string {
	line := fmt.Sprintf("%s %s | %s | %s |", r.ModuleType, r.ModuleID, r.ModuleName, r.RoomName)
	line = strings.ReplaceAll(line, "|  |", "| |")
	for _, v := range r.Values {
		value := r.State(v.Field)
		if value == "" {
			value = strconv.FormatFloat(v.Number, 'f', -1, 64)
		}
		line += " " + fieldNames[v.Field] + "=" + value
	}
	return sorted(line)
}

// homesClient answers with the files of homesDir.
func homesClient(t *testing.T, families ...netatmo.Family) *netatmo.Client {
	t.Helper()
	return serve(t, netatmo.Options{Families: families}, func(w http.ResponseWriter, r *http.Request) {
		file := "homesdata"
		if id := r.FormValue("home_id"); id != "" {
			file = id[len(id)-5:]
		}
		if file == "a0008" {
			w.WriteHeader(http.StatusBadRequest)
		}
		body, err := os.ReadFile(filepath.Join(homesDir, file+".json"))
		if err != nil {
			t.Error(err)
		}
		w.Write(body)
	})
}

// lines requests all homes and returns the readings, by the end of the home's
// id.
func lines(t *testing.T, c *netatmo.Client) map[string][]string {
	t.Helper()
	homes, err := c.Homes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for _, h := range homes {
		key := h.ID[len(h.ID)-5:]
		a, err := c.HomeStatus(t.Context(), h)
		if failed, ok := errors.AsType[*netatmo.Error](err); ok && key == "a0008" && failed.Class == netatmo.ClassInvalid {
			continue // it is shared with the account
		} else if err != nil {
			t.Fatal(err)
		}
		for _, r := range a.Readings {
			all[key] = append(all[key], describeReading(r))
		}
		for _, e := range a.Rejected {
			all[key] = append(all[key], "rejected "+e.ID)
		}
	}
	return all
}

// compare reports the lines that are in only one of got and want.
func compare(t *testing.T, got, want []string) {
	t.Helper()
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("missing: %s", line)
		}
	}
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("not expected: %s", line)
		}
	}
}

func TestEveryHomeDevice(t *testing.T) {
	got, want := lines(t, homesClient(t)), expected(t)
	for _, home := range []string{"a0001", "a0002", "a0003", "a0004", "a0005", "a0006", "a0008", "a0009", "a000a"} {
		t.Run(home, func(t *testing.T) { compare(t, got[home], want[home]) })
	}
}

// A family is a filter over the same answers.
func TestFamiliesInHomes(t *testing.T) {
	members := map[netatmo.Family]string{
		netatmo.Energy:   "home room relay thermostat valve air_conditioner gas_meter",
		netatmo.Control:  "gateway plug meter contactor switch light ventilation remote shutter garage_door rejected",
		netatmo.Security: "camera door_tag siren doorbell smoke_alarm co_alarm",
	}
	all := expected(t)
	for family, types := range members {
		t.Run(string(family), func(t *testing.T) {
			got := lines(t, homesClient(t, family))
			for home, want := range all {
				want = slices.DeleteFunc(slices.Clone(want), func(line string) bool {
					kind, _, _ := strings.Cut(line, " ")
					return !slices.Contains(strings.Fields(types), kind)
				})
				compare(t, got[home], want)
			}
		})
	}
}
