package simcloud_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
)

// rig is a logged-in cloud with its own clock.
type rig struct {
	*simcloud.Cloud
	t     *testing.T
	now   time.Time
	token string
}

// begin is a working day in October.
var begin = time.Date(2025, 10, 8, 9, 0, 0, 0, time.UTC)

func newRig(t *testing.T, o simcloud.Options) *rig {
	t.Helper()
	r := &rig{t: t, now: begin}
	o.Now = func() time.Time { return r.now }
	if o.QuotaPer10s == 0 {
		o.QuotaPer10s, o.QuotaPerHour = -1, -1
	}
	o.TokenLife = 10000 * time.Hour
	r.Cloud = simcloud.New(o)
	r.token = r.Auth().Grant("read_station", "read_homecoach", "read_thermostat").Access
	return r
}

// request makes a request with the arguments "key", "value", …
func (r *rig) request(endpoint string, args ...string) *httptest.ResponseRecorder {
	q := url.Values{}
	for i := 0; i < len(args); i += 2 {
		q.Set(args[i], args[i+1])
	}
	req := httptest.NewRequest(http.MethodGet, "/api/"+endpoint+"?"+q.Encode(), nil)
	req.Header.Set("Authorization", "Bearer "+r.token)
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w
}

// body returns the body of an answer and fails if there is none.
func (r *rig) body(endpoint string, args ...string) any {
	r.t.Helper()
	w := r.request(endpoint, args...)
	var envelope struct {
		Status string
		Body   any
		Time   int64 `json:"time_server"`
	}
	decode(r.t, w.Body.String(), &envelope)
	if w.Code != 200 || envelope.Status != "ok" || envelope.Time != r.now.Unix() {
		r.t.Fatalf("%s %v: %d %s", endpoint, args, w.Code, w.Body)
	}
	return envelope.Body
}

func decode(t *testing.T, s string, v any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		t.Fatalf("%v in %.300s", err, s)
	}
}

type object = map[string]any

// devices returns all objects of getstationsdata or gethomecoachsdata by id,
// including modules.
func (r *rig) devices(endpoint string, args ...string) map[string]object {
	r.t.Helper()
	all := map[string]object{}
	for _, s := range r.body(endpoint, args...).(object)["devices"].([]any) {
		station := s.(object)
		all[station["_id"].(string)] = station
		modules, _ := station["modules"].([]any)
		for _, m := range modules {
			all[m.(object)["_id"].(string)] = m.(object)
		}
	}
	return all
}

func (r *rig) device(id string, args ...string) object {
	r.t.Helper()
	for _, endpoint := range []string{"getstationsdata", "gethomecoachsdata"} {
		if d, ok := r.devices(endpoint, args...)[id]; ok {
			return d
		}
	}
	return nil
}

// measured returns the time_utc of a device, zero if it has none.
func measured(device object) int64 {
	dash, _ := device["dashboard_data"].(object)
	n, _ := dash["time_utc"].(json.Number)
	t, _ := n.Int64()
	return t
}

func keys(o object) string {
	var list []string
	for k := range o {
		list = append(list, k)
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// TestLiveAndHistoryAgree polls for two days and then requests the history,
// which must contain every live value, with the time of its measurement, to the
// decimal.
func TestLiveAndHistoryAgree(t *testing.T) {
	r := newRig(t, simcloud.Options{})
	type key struct {
		id, typ string
		at      int64
	}
	live := map[key]string{}
	for range 2 * 24 * 12 {
		r.now = r.now.Add(5 * time.Minute)
		for _, endpoint := range []string{"getstationsdata", "gethomecoachsdata"} {
			for id, d := range r.devices(endpoint) {
				for name, v := range d["dashboard_data"].(object) {
					live[key{id, name, measured(d)}] = fmt.Sprint(v)
					if n, at, ok := r.ValueAt(id, name, r.now); !strings.Contains(name, "trend") &&
						(!ok || at.Unix() != measured(d) || fmt.Sprint(n) != fmt.Sprint(float(t, v))) {
						t.Fatalf("ValueAt(%s, %s) = %v at %v, %v; live: %v at %d", id, name, n, at, ok, v, measured(d))
					}
				}
			}
		}
	}
	compared := 0
	for _, m := range r.Modules() {
		if strings.HasPrefix(m.Type, "NATherm") || m.Type == simcloud.TypeRoom {
			continue
		}
		for _, typ := range m.Types {
			rows := r.history(m, typ, begin)
			held := r.Held(m.ID, typ, begin, r.now)
			if len(held) != len(rows) {
				t.Fatalf("%s %s: Held has %d, history has %d", m.Name, typ, len(held), len(rows))
			}
			for _, s := range held {
				v := rows[s.Time.Unix()]
				if fmt.Sprint(s.Value) != fmt.Sprint(float(t, v)) {
					t.Errorf("%s %s at %v: held %v, history %v", m.Name, typ, s.Time, s.Value, v)
				}
				if was, ok := live[key{m.ID, typ, s.Time.Unix()}]; ok {
					compared++
					if was != fmt.Sprint(v) {
						t.Errorf("%s %s at %v: live %v, history %v", m.Name, typ, s.Time, was, v)
					}
				}
			}
			if n := len(held); n < 566 || n > 574 { // two in 605.7 s
				t.Errorf("%s %s: %d samples in two days", m.Name, typ, n)
			}
		}
	}
	if compared < 20*280 {
		t.Errorf("only %d live values were found in the history", compared)
	}
}

func float(t *testing.T, v any) float64 {
	t.Helper()
	switch v := v.(type) {
	case bool, nil:
		return map[any]float64{true: 1}[v]
	case json.Number:
		f, err := v.Float64()
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	t.Fatalf("%v (%T) is not a number", v, v)
	return 0
}

// history pages through getmeasure as clients do.
func (r *rig) history(m simcloud.Module, typ string, from time.Time) map[int64]any {
	r.t.Helper()
	all := map[int64]any{}
	for next := from.Unix(); ; {
		args := []string{"device_id", m.StationID, "scale", "max", "type", typ, "optimize", "false", "date_begin", fmt.Sprint(next)}
		if m.ID != m.StationID {
			args = append(args, "module_id", m.ID)
		}
		page, ok := r.body("getmeasure", args...).(object)
		if !ok {
			return all
		}
		for stamp, values := range page {
			at, err := strconv.ParseInt(stamp, 10, 64)
			if err != nil {
				r.t.Fatal(err)
			}
			all[at] = values.([]any)[0]
			next = max(next, at+1)
		}
	}
}

// TestRoomsAgree does the same for rooms, whose live values have no time.
func TestRoomsAgree(t *testing.T) {
	r := newRig(t, simcloud.Options{})
	home := r.Modules()[0].HomeID
	for range 50 {
		r.now = r.now.Add(7 * time.Minute)
		rooms := r.body("homestatus", "home_id", home).(object)["home"].(object)["rooms"].([]any)
		for _, x := range rooms {
			room := x.(object)
			id := room["id"].(string)
			v, at, ok := r.ValueAt(id, "temperature", r.now)
			held := r.Held(id, "Temperature", at, at)
			if !ok || fmt.Sprint(v) != fmt.Sprint(room["therm_measured_temperature"]) || len(held) != 1 || held[0].Value != v {
				t.Fatalf("room %s: live %v, ValueAt %v at %v, held %v", id, room, v, at, held)
			}
			row := r.body("getroommeasure", "home_id", home, "room_id", id, "scale", "max", "type", "sp_temperature,temperature",
				"optimize", "false", "date_begin", fmt.Sprint(at.Unix())).(object)[fmt.Sprint(at.Unix())].([]any)
			if fmt.Sprint(row) != fmt.Sprint([]any{room["therm_setpoint_temperature"], room["therm_measured_temperature"]}) {
				t.Fatalf("room %s: live %v, history %v", id, room, row)
			}
		}
	}
}

func TestCadence(t *testing.T) {
	for _, tc := range []struct {
		name            string
		measure, upload time.Duration
		step            time.Duration // of the clock of the test
		between         []int64       // two live samples of a station, in seconds
		lag             time.Duration
	}{
		{"real", 0, 0, 3 * time.Second, []int64{605, 606}, 5 * time.Second},
		{"scaled", 5 * time.Second, 10 * time.Second, 50 * time.Millisecond, []int64{9, 10}, 84 * time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, simcloud.Options{Measure: tc.measure, Upload: tc.upload})
			station, uploads := r.Modules()[0].ID, 0
			seen := map[string]time.Time{}
			for range 3000 {
				r.now = r.now.Add(tc.step)
				_, at, _ := r.ValueAt(station, "Temperature", r.now)
				was := seen[station]
				if at.Equal(was) {
					continue
				}
				if uploads++; uploads > 2 && !slices.Contains(tc.between, at.Unix()-was.Unix()) {
					t.Errorf("from sample to sample %v, want %v s", at.Sub(was), tc.between)
				}
				if late := r.now.Sub(at); uploads > 1 && (late < tc.lag-tc.step || late > tc.lag+tc.step+time.Second) {
					t.Errorf("shown %v after measurement, want %v", late, tc.lag)
				}
				for _, m := range r.Modules()[:5] {
					_, mine, _ := r.ValueAt(m.ID, m.Types[0], r.now)
					if off := at.Sub(mine); off < 0 || off > 13*tc.lag+time.Second {
						t.Errorf("%s measured %v before its station", m.Name, off)
					}
					if uploads > 1 {
						if n := len(r.Held(m.ID, m.Types[0], seen[m.ID].Add(time.Second), r.now)); n != 2 {
							t.Errorf("%s: an upload of %d samples", m.Name, n)
						}
					}
					seen[m.ID] = mine
				}
			}
			if uploads < 13 {
				t.Errorf("%d uploads", uploads)
			}
		})
	}
}

func TestLargeAccount(t *testing.T) {
	r := newRig(t, simcloud.Options{Scenario: simcloud.Large(1000)})
	if n := len(r.Modules()); n != 7000 {
		t.Fatalf("%d devices with different ids", n)
	}
	if n := len(r.devices("getstationsdata")); n != 7000 {
		t.Errorf("%d devices answered", n)
	}
}

func BenchmarkLargeAnswer(b *testing.B) {
	c := simcloud.New(simcloud.Options{Scenario: simcloud.Large(1000), QuotaPer10s: -1, QuotaPerHour: -1})
	req := httptest.NewRequest(http.MethodGet, "/api/getstationsdata", nil)
	req.Header.Set("Authorization", "Bearer "+c.Auth().Grant("read_station").Access)
	for b.Loop() {
		c.ServeHTTP(httptest.NewRecorder(), req)
	}
}
