package simcloud_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
)

const (
	station = "70:ee:50:00:10:01"
	garden  = "02:00:00:00:10:02"
	bedroom = "03:00:00:00:10:03"
	roof    = "06:00:00:00:10:04"
	lawn    = "05:00:00:00:10:05"
	relay   = "70:ee:50:00:30:01"
	thermo  = "04:00:00:00:30:02"
	home    = "5f1e2d3c4b5a69788796a5b4"
)

// measure requests the history of a module of the default station.
func (r *rig) measure(module, scale, types string, args ...string) any {
	r.t.Helper()
	return r.body("getmeasure", append([]string{"device_id", station, "module_id", module, "scale", scale, "type", types}, args...)...)
}

// rows returns those of the answer with optimize=false, ascending.
func (r *rig) rows(module, scale, types string, args ...string) (stamps []int64, values [][]any) {
	r.t.Helper()
	page, _ := r.measure(module, scale, types, append(args, "optimize", "false")...).(object)
	for stamp := range page {
		n, _ := strconv.ParseInt(stamp, 10, 64)
		stamps = append(stamps, n)
	}
	slices.Sort(stamps)
	for _, n := range stamps {
		values = append(values, page[fmt.Sprint(n)].([]any))
	}
	return stamps, values
}

func at(t time.Time) string { return fmt.Sprint(t.Unix()) }

func TestMeasurePages(t *testing.T) {
	r := newRig(t, simcloud.Options{Start: begin.AddDate(0, 0, -10)})
	first, _ := r.rows(garden, "max", "temperature")
	if len(first) != 1024 || first[0]-begin.AddDate(0, 0, -10).Unix() > 310 {
		t.Errorf("without dates: %d rows from %v, want 1024 from the oldest sample on", len(first), first[0])
	}
	second, _ := r.rows(garden, "max", "temperature", "date_begin", fmt.Sprint(first[1023]))
	if second[0] != first[1023] {
		t.Error("date_begin is not inclusive")
	}
	if few, _ := r.rows(garden, "max", "temperature", "limit", "7", "date_end", fmt.Sprint(first[4])); !slices.Equal(few, first[:5]) {
		t.Errorf("up to the fifth sample: %v, want %v", few, first[:5])
	}
	newest, _ := r.rows(garden, "max", "temperature", "date_end", "last")
	if len(newest) != 1 || newest[0] != measured(r.device(garden)) {
		t.Errorf("date_end=last: %v, want the live sample", newest)
	}
	tail, _ := r.rows(garden, "max", "temperature", "date_begin", at(begin.Add(-time.Hour)), "date_end", "last")
	if len(tail) < 10 || tail[len(tail)-1] != newest[0] {
		t.Errorf("the last hour: %v", tail)
	}
	for _, optimize := range []string{"true", "false"} {
		if empty, ok := r.measure(garden, "max", "temperature", "date_begin", at(begin.Add(time.Hour)), "optimize", optimize).([]any); !ok || len(empty) != 0 {
			t.Errorf("no samples, optimize=%s: %v, want []", optimize, empty)
		}
	}
}

// TestMeasureRuns expands the optimised form and compares it with the other.
func TestMeasureRuns(t *testing.T) {
	r := newRig(t, simcloud.Options{})
	for _, scale := range []string{"max", "30min", "1day"} {
		args := []string{"date_begin", at(begin.AddDate(0, 0, -3))}
		stamps, values := r.rows(garden, scale, "Temperature,Humidity", args...)
		var flat []int64
		var flatValues [][]any
		single := 0
		for _, x := range r.measure(garden, scale, "Temperature,Humidity", args...).([]any) {
			run := x.(object)
			begin, step := int64(float(t, run["beg_time"])), int64(0)
			list := run["value"].([]any)
			if s, ok := run["step_time"]; ok {
				step = int64(float(t, s))
			} else if single++; len(list) != 1 {
				t.Errorf("%s: a run of %d rows without step_time", scale, len(list))
			}
			for i, row := range list {
				flat = append(flat, begin+int64(i)*step)
				flatValues = append(flatValues, row.([]any))
			}
		}
		if !slices.Equal(flat, stamps) || fmt.Sprint(flatValues) != fmt.Sprint(values) {
			t.Errorf("%s: the two forms differ", scale)
		}
	}
	lone := r.measure(garden, "max", "temperature", "date_end", "last").([]any)
	if len(lone) != 1 || keys(lone[0].(object)) != "beg_time value" {
		t.Errorf("a single row: %v, want no step_time", lone)
	}
}

func TestMeasureBuckets(t *testing.T) {
	r := newRig(t, simcloud.Options{})
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	from := time.Date(2025, 9, 1, 0, 0, 0, 0, zone)
	local := func(month time.Month, d, h int) int64 { return time.Date(2025, month, d, h, 0, 0, 0, zone).Unix() }
	for _, tc := range []struct {
		scale         string
		first, second int64
	}{
		{"30min", from.Unix() + 900, from.Unix() + 900 + 1800},
		{"1hour", from.Unix() + 1800, from.Unix() + 1800 + 3600},
		{"3hours", from.Unix() + 7200 + 5400, from.Unix() + 7200 + 5400 + 10800}, // on the epoch's grid, 02:00 in Berlin
		{"1day", local(9, 1, 12), local(9, 2, 12)},
		{"1week", local(9, 4, 12), local(9, 11, 12)}, // from Monday on, so Thursday
		{"1month", local(9, 16, 0), local(10, 16, 12) + 1800},
	} {
		stamps, values := r.rows(garden, tc.scale, "temperature,min_temp,max_temp", "date_begin", at(from))
		if len(stamps) < 2 || stamps[0] != tc.first || stamps[1] != tc.second {
			t.Errorf("%s: stamps %v, want %d, %d", tc.scale, stamps[:min(2, len(stamps))], tc.first, tc.second)
		}
		for _, row := range values {
			if mean, low, high := float(t, row[0]), float(t, row[1]), float(t, row[2]); low > mean || mean > high {
				t.Errorf("%s: mean %v, lowest %v, highest %v", tc.scale, mean, low, high)
			}
		}
		if exact, _ := r.rows(garden, tc.scale, "temperature", "date_begin", at(from), "real_time", "true"); exact[0] >= tc.first {
			t.Errorf("%s, real_time: %d, want the beginning of the bucket", tc.scale, exact[0])
		}
	}
	if newest, _ := r.rows(garden, "1day", "temperature", "date_end", "last"); len(newest) != 1 || newest[0] != local(10, 8, 12) {
		t.Errorf("date_end=last: %v, want today", newest)
	}
}

// TestMeasureFolds checks sums and extremes against the samples themselves.
func TestMeasureFolds(t *testing.T) {
	r := newRig(t, simcloud.Options{})
	day := time.Date(2025, 10, 2, 22, 0, 0, 0, time.UTC) // local midnight
	end := day.AddDate(0, 0, 1).Add(-time.Second)
	one := func(module, typ string) float64 {
		_, values := r.rows(module, "1day", typ, "date_begin", at(day), "limit", "1")
		return float(t, values[0][0])
	}
	sum := func(module, typ string) (total float64) {
		for _, s := range r.Held(module, typ, day, end) {
			total += s.Value
		}
		return math.Round(total*1000) / 1000
	}
	if got, want := one(lawn, "sum_rain"), sum(lawn, "Rain"); got != want {
		t.Errorf("sum_rain of a day %v, the samples give %v", got, want)
	}
	warmest := slices.MaxFunc(r.Held(garden, "Temperature", day, end), func(a, b simcloud.Sample) int {
		return int(math.Copysign(1, a.Value-b.Value)) * min(1, int(math.Abs(a.Value-b.Value)*10+0.5))
	})
	if high, when := one(garden, "max_temp"), one(garden, "date_max_temp"); high != warmest.Value || int64(when) != warmest.Time.Unix() {
		t.Errorf("max_temp %v at %v, want %v", high, when, warmest)
	}
	_, values := r.rows(garden, "1hour", "temperature,min_hum,max_hum", "date_begin", at(day), "limit", "3")
	if len(values) != 3 || len(values[0]) != 3 {
		t.Errorf("three hours: %v", values)
	}
	heat := func(typ, scale string) []any {
		return r.body("getmeasure", "device_id", relay, "module_id", thermo, "scale", scale, "type", typ, "date_begin", at(day), "limit", "1").([]any)
	}
	on := float(t, heat("sum_boiler_on", "1day")[0].(object)["value"].([]any)[0].([]any)[0])
	if off := float(t, heat("sum_boiler_off", "1day")[0].(object)["value"].([]any)[0].([]any)[0]); math.Abs(on+off-86400) > 310 {
		t.Errorf("boiler: %v s on, %v s off in a day", on, off)
	}
}

func TestMeasureRefusals(t *testing.T) {
	r := newRig(t, simcloud.Options{})
	base := func(changes ...string) []string {
		return append([]string{"device_id", station, "module_id", lawn, "scale", "max", "type", "Rain"}, changes...)
	}
	for _, tc := range []struct {
		name, endpoint string
		args           []string
		status, code   int
		message        string
	}{
		{"no device", "getmeasure", base("device_id", ""), 400, 10, ""},
		{"no scale", "getmeasure", base("scale", ""), 400, 10, ""},
		{"no type", "getmeasure", base("type", ""), 400, 10, ""},
		{"unknown device", "getmeasure", base("device_id", "70:ee:50:99:99:99"), 400, 21, "device id is invalid"},
		{"module for a device", "getmeasure", base("device_id", lawn), 400, 21, "device id is invalid"},
		{"module of another station", "getmeasure", base("module_id", thermo), 400, 21, "Invalid id"},
		{"unknown scale", "getmeasure", base("scale", "5min"), 400, 21, ""},
		{"sum_rain and max", "getmeasure", base("type", "sum_rain"), 400, 21, "Filter sum_rain does not exists"},
		{"sum_rain_1", "getmeasure", base("scale", "1day", "type", "sum_rain_1"), 400, 21, "Filter sum_rain_1 does not exists"},
		{"date_max_temp at 30min", "getmeasure", base("module_id", garden, "scale", "30min", "type", "date_max_temp"), 400, 21, ""},
		{"AbsolutePressure", "getmeasure", base("module_id", "", "type", "AbsolutePressure"), 400, 21, ""},
		{"Wind", "getmeasure", base("module_id", roof, "type", "Wind"), 400, 21, ""},
		{"temperature of rain", "getmeasure", base("type", "temperature"), 400, 21, ""},
		{"bad date", "getmeasure", base("date_begin", "yesterday"), 400, 21, ""},
		{"bad limit", "getmeasure", base("limit", "0"), 400, 21, ""},
		{"no room", "getroommeasure", []string{"home_id", home, "scale", "max", "type", "temperature"}, 400, 10, ""},
		{"unknown room", "getroommeasure", []string{"home_id", home, "room_id", "1", "scale", "max", "type", "temperature"}, 400, 21, ""},
		{"unknown home", "getroommeasure", []string{"home_id", "1", "room_id", "1", "scale", "max", "type", "temperature"}, 400, 21, "Invalid home_id"},
		{"no home", "homestatus", nil, 400, 10, "Missing home_id"},
		{"unknown home", "homestatus", []string{"home_id", "1"}, 400, 21, "Invalid home_id"},
		{"unknown station", "getstationsdata", []string{"device_id", "70:ee:50:99:99:99"}, 404, 9, ""},
		{"unknown coach", "gethomecoachsdata", []string{"device_id", station}, 404, 9, ""},
		{"unknown method", "getweather", nil, 404, 404, ""},
	} {
		w := r.request(tc.endpoint, tc.args...)
		code, message := errorOf(w.Body.String())
		if w.Code != tc.status || code != tc.code || tc.message != "" && message != tc.message {
			t.Errorf("%s: %d, code %d, %q; want %d, %d, %q", tc.name, w.Code, code, message, tc.status, tc.code, tc.message)
		}
	}
}

func errorOf(body string) (code int, message string) {
	var answer struct {
		Error struct {
			Code    int
			Message string
		}
	}
	_ = json.Unmarshal([]byte(body), &answer)
	return answer.Error.Code, answer.Error.Message
}

func TestMeasureOfTheStationItself(t *testing.T) {
	r := newRig(t, simcloud.Options{})
	_, own := r.rows("", "max", "TEMPERATURE,co2", "date_end", "last")
	_, other := r.rows(bedroom, "max", "Temperature,CO2", "date_end", "last")
	dash := r.device(station)["dashboard_data"].(object)
	if fmt.Sprint(own[0]) != fmt.Sprint([]any{dash["Temperature"], dash["CO2"]}) || fmt.Sprint(own) == fmt.Sprint(other) {
		t.Errorf("without module_id: %v, the station's are %v", own, dash)
	}
}

// TestScopes makes every request with a token with one scope.
func TestScopes(t *testing.T) {
	requests := map[string][]string{
		"getstationsdata": nil, "gethomecoachsdata": nil, "homesdata": nil,
		"homestatus":     {"home_id", home},
		"getroommeasure": {"home_id", home, "room_id", "2746182001", "scale", "max", "type", "temperature"},
	}
	history := func(device string) []string {
		return []string{"device_id", device, "scale", "max", "type", "temperature"}
	}
	r := newRig(t, simcloud.Options{})
	for scope, allowed := range map[string]string{
		"read_station":    "getstationsdata " + station,
		"read_homecoach":  "gethomecoachsdata 70:ee:50:00:20:01",
		"read_thermostat": "homesdata homestatus getroommeasure " + relay,
	} {
		r.token = r.Auth().Grant(scope).Access
		check := func(name, endpoint string, args []string) {
			code, _ := errorOf(r.request(endpoint, args...).Body.String())
			if want := !strings.Contains(allowed, name); (code == 13) != want {
				t.Errorf("%s: %s gives code %d", scope, name, code)
			}
		}
		for endpoint, args := range requests {
			check(endpoint, endpoint, args)
		}
		for _, device := range []string{station, "70:ee:50:00:20:01", relay} {
			check(device, "getmeasure", history(device))
		}
	}
	r.token = r.Auth().Grant("read_homecoach").Access
	if w := r.request("getstationsdata"); w.Code != http.StatusForbidden {
		t.Errorf("status %d for a missing scope", w.Code)
	}
}
