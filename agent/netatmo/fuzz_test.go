package netatmo_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"netatmo-agent/agent/netatmo"
)

// pieces returns the objects of a file in testdata one by one, each without
// its lists. Whole files are poor seeds: the fuzzer would spend its time on
// shortening them.
func pieces(f *testing.F, file string) []string {
	f.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		f.Fatal(err)
	}
	var all []string
	var walk func(raw json.RawMessage)
	walk = func(raw json.RawMessage) {
		var list []json.RawMessage
		var object map[string]json.RawMessage
		if json.Unmarshal(raw, &list) == nil {
			for _, raw := range list {
				walk(raw)
			}
			return
		}
		if json.Unmarshal(raw, &object) != nil || object == nil {
			return
		}
		for _, key := range []string{"body", "devices", "modules", "home", "rooms", "homes"} {
			walk(object[key])
			delete(object, key)
		}
		short, err := json.Marshal(object)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, string(short))
	}
	walk(body)
	return all
}

// numeral matches what can be read as a number, apart from signs and quotes.
var numeral = regexp.MustCompile(`[0-9]`)

// checkAnswer checks what must be true of every answer, whatever the server
// sent.
func checkAnswer(t *testing.T, body string, a netatmo.Answer, err error) {
	t.Helper()
	if err != nil {
		checkError(t, err)
		if len(a.Readings) > 0 {
			t.Error("readings in spite of an error")
		}
		return
	}
	if !json.Valid([]byte(body)) && !strings.Contains(body, "}") {
		t.Error("no error for an answer that is not JSON")
	}
	series := map[[3]string]bool{}
	for _, r := range a.Readings {
		id := [3]string{r.StationID, r.ModuleID, r.ModuleType}
		if series[id] {
			t.Errorf("%v is listed twice", id)
		}
		series[id] = true
		checkReading(t, body, r, a)
	}
	for _, e := range a.Rejected {
		checkText(t, e.Error())
	}
}

func checkReading(t *testing.T, body string, r netatmo.Reading, a netatmo.Answer) {
	t.Helper()
	if r.ModuleID == "" || r.ModuleName == "" || r.ModuleType == "" || strings.ContainsFunc(r.ModuleID, unicode.IsSpace) {
		t.Errorf("no identity: %+v", r)
	}
	for _, s := range []string{r.ModuleID, r.ModuleName, r.HomeID, r.HomeName, r.StationID, r.StationName,
		r.Wire.Module, r.Wire.Station, r.Wire.Home, r.RoomName} {
		if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
			t.Errorf("%q is not a line of UTF-8", s)
		}
	}
	reachable, known := r.Values.Get(netatmo.Reachable)
	for _, s := range r.States {
		if n, ok := r.Values.Get(s.Field); !ok || n != 1 || s.Name == "" || strings.ContainsFunc(s.Name, unicode.IsControl) {
			t.Errorf("state %q, value %g", s.Name, n)
		}
	}
	var fields []netatmo.Field
	for _, v := range r.Values {
		fields = append(fields, v.Field)
		isTime := v.Field == netatmo.MeasurementTime || v.Field == netatmo.LastSeen || v.Field == netatmo.LastActivity || v.Field == netatmo.SetpointEnd
		if math.IsNaN(v.Number) || math.Abs(v.Number) > 1e9 && !isTime || v.Number == 0 && math.Signbit(v.Number) {
			t.Errorf("%s is %g", fieldNames[v.Field], v.Number)
		}
		status := v.Field == netatmo.Reachable || v.Field == netatmo.Firmware || v.Field == netatmo.LastSeen
		if known && reachable == 0 && !status {
			t.Errorf("unreachable, but %s is %g", fieldNames[v.Field], v.Number)
		}
	}
	slices.Sort(fields)
	if len(slices.Compact(fields)) != len(r.Values) {
		t.Errorf("a field twice: %v", r.Values)
	}
	if _, ok := r.Values.Get(netatmo.Temperature); ok && r.Measured.IsZero() {
		t.Error("a temperature without time")
	}
	if _, ok := r.Values.Get(netatmo.Temperature); ok && !numeral.MatchString(body) {
		t.Error("a temperature, but no number was sent")
	}
	if !a.Server.IsZero() && !r.Answered.Equal(a.Server) {
		t.Errorf("answered %s, server %s", r.Answered, a.Server)
	}
}

var allClasses = []netatmo.Class{netatmo.ClassAuth, netatmo.ClassScope, netatmo.ClassQuota, netatmo.ClassBusy,
	netatmo.ClassNotFound, netatmo.ClassInvalid, netatmo.ClassApp, netatmo.ClassServer, netatmo.ClassMalformed}

func checkError(t *testing.T, err error) {
	t.Helper()
	fail, ok := errors.AsType[*netatmo.Error](err)
	if !ok || !slices.Contains(allClasses, fail.Class) {
		t.Fatalf("unexpected error %T: %v", err, err)
	}
	checkText(t, err.Error())
}

func checkText(t *testing.T, text string) {
	t.Helper()
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) || len(text) > 1600 {
		t.Errorf("unsuitable text %q", text)
	}
}

func FuzzWeather(f *testing.F) {
	for _, device := range append(pieces(f, "stations.json"), pieces(f, "coaches.json")...) {
		f.Add(station(device))
	}
	f.Add(station(`{"_id":"a","type":"NAMain","dashboard_data":{"time_utc":"1","Temperature":"-0"}}`))
	f.Add(station(`{"_id":"a\u001b","type":"NAMain","module_name":"\u0085\n","dashboard_data":{"time_utc":1,"CO2":1e308}}`))
	f.Fuzz(func(t *testing.T, body string) {
		a, err := saying(200, body).Weather(t.Context(), true)
		checkAnswer(t, body, a, err)
		a, err = saying(200, body).HomeCoaches(t.Context())
		checkAnswer(t, body, a, err)
	})
}

func FuzzHomeStatus(f *testing.F) {
	for _, part := range pieces(f, "home-5f0000000000000000000001.json") {
		f.Add(`{"body":{"home":{"modules":[` + part + `],"rooms":[` + part + `]}}}`)
	}
	for _, part := range pieces(f, "homes.json") {
		f.Add(`{"body":{"homes":[{"id":"h","rooms":[` + part + `],"modules":[` + part + `]}]}}`)
	}
	for n := 1; n <= 6; n++ {
		for _, part := range pieces(f, fmt.Sprintf("home/a000%d.json", n)) {
			f.Add(`{"body":{"home":{"modules":[` + part + `],"rooms":[` + part + `]}}}`)
		}
	}
	f.Add(`{"body":{"home":{"modules":[{"id":"a#1","type":"NLIS","bridge":"a#1"},{"id":"a","type":"NLIS","bridge":"a#1","boiler_error":[]}]},"errors":[{"code":6,"id":"a"}]}}`)
	f.Add(`{"body":{"home":{"rooms":{"a":{"id":1,"therm_setpoint_mode":" "}}},"errors":[{"code":6,"id":"70:ee:50:00:02:01"}]}}`)
	list, err := os.ReadFile(filepath.Join("testdata", "homes.json"))
	if err != nil {
		f.Fatal(err)
	}
	homes, err := saying(200, string(list)).Homes(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body string) {
		a, err := saying(200, body).HomeStatus(t.Context(), homes[0])
		checkAnswer(t, body, a, err)
		homes, err := saying(200, body).Homes(t.Context())
		if err != nil {
			checkError(t, err)
		}
		for _, h := range homes {
			if h.ID == "" {
				t.Error("a home without id")
			}
		}
	})
}

func FuzzMeasure(f *testing.F) {
	f.Add(`{"body":{"1544558433":[28.1,null],"1544558449":[28,501]},"time_server":1760000060}`)
	f.Add(`{"body":[{"beg_time":1000,"step_time":300,"value":[[1,2],[2,null]]},{"beg_time":2000,"value":[["3",4]]}]}`)
	f.Add(`{"body":[]}`)
	f.Add(`{"body":{"error":{"code":26},"1544558433":[1e308,-1]}}`)
	f.Fuzz(func(t *testing.T, body string) {
		page, err := saying(200, body).Measure(t.Context(), netatmo.MeasureQuery{Columns: columns("Temperature", "WindAngle")}, netatmo.Live)
		if err != nil {
			checkError(t, err)
			return
		}
		got := page.Samples
		if len(got) > 1024 {
			t.Errorf("%d samples", len(got))
		}
		for i, s := range got {
			if len(s.Values) > 2 || s.Time.Unix() <= 0 || i > 0 && !s.Time.After(got[i-1].Time) {
				t.Errorf("sample %d: %+v", i, s)
			}
			for _, v := range s.Values {
				if math.IsNaN(v.Number) || math.Abs(v.Number) > 1e9 {
					t.Errorf("value %g", v.Number)
				}
			}
			if v, ok := s.Values.Get(netatmo.WindDirection); ok && v < 0 {
				t.Errorf("an angle of %g", v)
			}
		}
	})
}

func FuzzError(f *testing.F) {
	f.Add(403, `{"error":{"code":26,"message":"User usage reached"}}`)
	f.Add(200, `{"error":{"code":"3","message":"a\u0000\n"},"body":null}`)
	f.Add(503, html)
	f.Add(429, "")
	f.Add(401, `{"error":"x","errors":[{"code":6}]}`)
	f.Add(200, `{"body":{"error":{"code":26}}}`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 {
			return
		}
		a, err := saying(status, body).Weather(t.Context(), false)
		if status >= 300 && err == nil {
			t.Errorf("status %d is no error", status)
		}
		checkAnswer(t, body, a, err)
	})
}
