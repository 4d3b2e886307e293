package netatmo_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"netatmo-agent/agent/netatmo"
)

// columns are those of getmeasure's types. A type that the agent never requests
// has an undefined field.
func columns(types ...string) []netatmo.Column {
	fields := map[string]netatmo.Field{
		"Temperature": netatmo.Temperature, "CO2": netatmo.CO2, "Humidity": netatmo.Humidity, "Pressure": netatmo.Pressure, "Noise": netatmo.Noise,
		"Rain": netatmo.Rain, "WindStrength": netatmo.WindSpeed, "WindAngle": netatmo.WindDirection,
		"GustStrength": netatmo.GustSpeed, "GustAngle": netatmo.GustDirection,
		"temperature": netatmo.Temperature, "sp_temperature": netatmo.SetpointTemp,
	}
	var all []netatmo.Column
	for i, typ := range types {
		all = append(all, netatmo.Column{Type: typ, Field: cmp.Or(fields[typ], netatmo.FieldEnd+netatmo.Field(i))})
	}
	return all
}

func samples(list []netatmo.Sample, asked []netatmo.Column) string {
	var rows []string
	for _, s := range list {
		row := strconv.FormatInt(s.Time.Unix(), 10)
		for _, c := range asked {
			if v, ok := s.Values.Get(c.Field); ok {
				row += " " + strconv.FormatFloat(v, 'f', -1, 64)
			} else {
				row += " -"
			}
		}
		rows = append(rows, row)
	}
	return strings.Join(rows, ", ")
}

// TestMeasureShapes: both forms of an answer, and everything odd in them.
func TestMeasureShapes(t *testing.T) {
	for _, tc := range []struct {
		name, types, body, want string
		odd                     int
	}{
		{"rows", "Temperature,CO2", `{"1544558433":[28.1,500],"1544558449":[28,501]}`, "1544558433 28.1 500, 1544558449 28 501", 0},
		{"rows out of order", "Rain", `{"1000000300":[3],"999999999":[1],"1000000000":[2]}`, "999999999 1, 1000000000 2, 1000000300 3", 0},
		{"nulls", "Temperature,CO2", `{"1000":[null,500],"1300":[20.5,null]}`, "1000 - 500, 1300 20.5 -", 0},
		{"zero is no CO2, noise or pressure", "CO2,Noise,Pressure,Temperature", `{"1000":[0,0,0,0],"1300":[400,35,1013,20]}`, "1000 - - - 0, 1300 400 35 1013 20", 0},
		{"zero is a value", "Rain", `{"1000":[0],"1300":[0.101]}`, "1000 0, 1300 0.101", 0},
		{"numbers as strings", "Rain", `{"1000":["0.2"],"1300":["NaN"]}`, "1000 0.2, 1300 -", 1},
		{"nothing", "Rain", `[]`, "", 0},
		{"nothing, as an object", "Rain", `{}`, "", 0},
		{"a row too short", "Temperature,CO2", `{"1000":[20],"1300":[21,500]}`, "1000 - -, 1300 21 500", 1},
		{"a row too long", "Temperature,CO2", `{"1000":[20,500,7],"1300":[]}`, "1000 - -, 1300 - -", 2},
		{"rows that are none", "Temperature", `{"1000":5,"1300":null,"1600":"x"}`, "1000 -, 1300 -, 1600 -", 3},
		{"keys that are no times", "Rain", `{"":[1],"x":[1],"-5":[1],"0":[1],"1.5":[1],"99999999999999999999":[1],"1000":[2]}`, "1000 2", 6},
		{"the same time twice", "Rain", `{"1000":[1],"1000":[1],"1300":[2]}`, "1000 1, 1300 2", 0},
		{"a time to come", "Rain", `{"1760000661":[1],"1760000659":[2]}`, "1760000659 2", 1},
		{"no wind", "WindStrength,WindAngle,GustStrength,GustAngle", `{"1000":[0,-1,3,-1],"1300":[2,0,3,359]}`, "1000 0 - 3 -, 1300 2 0 3 359", 0},

		{"runs", "Temperature", `[{"beg_time":1000,"step_time":300,"value":[[1],[2]]},{"beg_time":2000,"step_time":16,"value":[[3],[null],[5]]}]`,
			"1000 1, 1300 2, 2000 3, 2016 -, 2032 5", 0},
		{"a run of one row", "Temperature", `[{"beg_time":1000,"value":[[1]]}]`, "1000 1", 0},
		{"a run that hides its step", "Temperature", `[{"beg_time":1000,"value":[[1],[2]]},{"beg_time":2000,"step_time":0,"value":[[3],[4]]}]`, "1000 1, 2000 3", 2},
		{"runs out of order and overlapping", "Rain", `[{"beg_time":2000,"step_time":300,"value":[[3],[4]]},{"beg_time":1700,"step_time":300,"value":[[1],[2]]}]`,
			"1700 1, 2000 3, 2300 4", 0},
		{"runs that are none", "Rain", `[7,null,"x",[],{},{"beg_time":null,"value":[[1]]},{"beg_time":1000,"step_time":300,"value":{"a":[1]}},{"beg_time":5,"value":7}]`, "1000 1", 7},
		{"runs as an object", "Rain", `{"0":{"beg_time":1000,"step_time":300,"value":[[1]]},"2":{"beg_time":2000,"value":[[2]]}}`, "1000 1, 2000 2", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := saying(200, `{"body":`+tc.body+`,"status":"ok","time_server":1760000060}`)
			asked := columns(strings.Split(tc.types, ",")...)
			got, err := c.Measure(t.Context(), netatmo.MeasureQuery{DeviceID: "d", Columns: asked}, netatmo.Live)
			if err != nil || samples(got.Samples, asked) != tc.want || got.Odd != tc.odd {
				t.Errorf("got %q, %d odd, %v\nwant %q, %d odd", samples(got.Samples, asked), got.Odd, err, tc.want, tc.odd)
			}
		})
	}
}

func TestMeasureWithoutSamples(t *testing.T) {
	for _, body := range []string{`null`, `"x"`, `7`} {
		_, err := saying(200, `{"body":`+body+`}`).Measure(t.Context(), netatmo.MeasureQuery{Columns: columns("Rain")}, netatmo.Live)
		if fail, ok := errors.AsType[*netatmo.Error](err); !ok || fail.Class != netatmo.ClassMalformed {
			t.Errorf("%s: %v; an answer without a list must not pass for an empty one", body, err)
		}
	}
}

// TestMeasurePage: one request returns one page, and no more is kept in memory.
func TestMeasurePage(t *testing.T) {
	var body strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&body, `%c"%d":[%d]`, ",{"[btoi(i == 0)], 1700000000+300*(4999-i), 4999-i)
	}
	requests := 0
	c := serve(t, netatmo.Options{}, func(w http.ResponseWriter, _ *http.Request) {
		requests++
		io.WriteString(w, `{"body":`+body.String()+`}}`)
	})
	got, err := c.Measure(t.Context(), netatmo.MeasureQuery{DeviceID: "d", Columns: columns("Rain")}, netatmo.History)
	if err != nil || len(got.Samples) != 1024 || requests != 1 {
		t.Fatalf("%d samples by %d requests, %v", len(got.Samples), requests, err)
	}
	for i, s := range got.Samples {
		if s.Time.Unix() != int64(1700000000+300*i) || s.Values[0].Number != float64(i) {
			t.Fatalf("sample %d is of %d with %v", i, s.Time.Unix(), s.Values)
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestMeasureQuery(t *testing.T) {
	begin, end := time.Unix(1700000000, 999), time.Unix(1700003600, 0)
	two := columns("Temperature", "Humidity")
	for _, tc := range []struct {
		name string
		q    netatmo.MeasureQuery
		path string
		form string
	}{
		{"module", netatmo.MeasureQuery{DeviceID: "d", ModuleID: "m", Columns: two, Begin: begin, End: end}, "/api/getmeasure",
			"date_begin=1700000000&date_end=1700003600&device_id=d&limit=1024&module_id=m&optimize=false&scale=max&type=Temperature%2CHumidity"},
		{"device", netatmo.MeasureQuery{DeviceID: "d", Columns: two}, "/api/getmeasure",
			"device_id=d&limit=1024&optimize=false&scale=max&type=Temperature%2CHumidity"},
		{"device named twice", netatmo.MeasureQuery{DeviceID: "d", ModuleID: "d", Columns: two[:1]}, "/api/getmeasure",
			"device_id=d&limit=1024&optimize=false&scale=max&type=Temperature"},
		{"room", netatmo.MeasureQuery{HomeID: "h", RoomID: "r", Columns: columns("temperature", "sp_temperature"), Begin: begin}, "/api/getroommeasure",
			"date_begin=1700000000&home_id=h&limit=1024&optimize=false&room_id=r&scale=max&type=temperature%2Csp_temperature"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := serve(t, netatmo.Options{}, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != tc.path || r.URL.Query().Encode() != tc.form {
					t.Errorf("asked for %s with %s", r.URL.Path, r.URL.Query().Encode())
				}
				io.WriteString(w, `{"body":[]}`)
			})
			if _, err := c.Measure(t.Context(), tc.q, netatmo.History); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestMeasurePriority: history waits at a gate that live requests pass.
func TestMeasurePriority(t *testing.T) {
	gate := netatmo.NewGate(4)
	c := serve(t, netatmo.Options{Gate: gate}, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"body":[]}`) })
	q := netatmo.MeasureQuery{DeviceID: "d", Columns: columns("Rain")}
	for range 3 {
		if _, err := c.Measure(t.Context(), q, netatmo.History); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	_, err := c.Measure(ctx, q, netatmo.History)
	if fail, ok := errors.AsType[*netatmo.Error](err); !ok || fail.Class != netatmo.ClassCanceled {
		t.Errorf("a fourth request for history: %v", err)
	}
	if _, err := c.Measure(t.Context(), q, netatmo.Live); err != nil {
		t.Error(err)
	}
}
