package netatmo_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netatmo-agent/agent/netatmo"
)

// buckets describes samples as "end field=number".
func buckets(list []netatmo.Sample) string {
	var rows []string
	for _, s := range list {
		rows = append(rows, fmt.Sprintf("%d %s", s.Time.Unix(), values(s.Values)))
	}
	return strings.Join(rows, ", ")
}

// TestMetersRecorded: recorded answers, which have the times of the middle of a
// bucket, against what they must become, written by hand.
func TestMetersRecorded(t *testing.T) {
	for _, tc := range []struct {
		file  string
		meter netatmo.Meter
		want  string
	}{
		{"energy_tariff", netatmo.Electricity, "1789984800 peak=35, 1789986600 peak=32, 1789988400 peak=14 off_peak=23, 1789990200 off_peak=35, " +
			"1789992000 off_peak=64, 1789993800 peak=15 off_peak=11, 1789995600 peak=238, 1789999200 peak=566"},
		{"energy_basic", netatmo.Electricity, "1789992000 basic=197, 1789993800 basic=262, 1789995600 basic=168"},
		{"energy_basic", netatmo.Line, "1789992000 basic=197, 1789993800 basic=262, 1789995600 basic=168"},
		{"energy_basic", netatmo.Gas, "1789992000 gas=197, 1789993800 gas=262, 1789995600 gas=168"},
		{"energy_tariff", netatmo.Water, "1789984800 water=35, 1789986600 water=32, 1789988400 water=37, 1789990200 water=35, " +
			"1789992000 water=64, 1789993800 water=26, 1789995600 water=238, 1789999200 water=566"},
		{"empty", netatmo.Electricity, ""},
		{"boiler_30min", netatmo.Boiler, "1789992000 boiler_on_time=600, 1789993800 boiler_on_time=0, 1789995600 boiler_on_time=1800, 1789997400 "},
	} {
		t.Run(tc.file, func(t *testing.T) {
			body, err := os.ReadFile(filepath.Join(homesDir, "getmeasure_"+tc.file+".json"))
			if err != nil {
				t.Fatal(err)
			}
			got, err := saying(200, string(body)).Measure(t.Context(), netatmo.MeasureQuery{DeviceID: "d", Meter: tc.meter}, netatmo.History)
			if err != nil || buckets(got.Samples) != tc.want {
				t.Errorf("got  %q, %v\nwant %q", buckets(got.Samples), err, tc.want)
			}
		})
	}
}

func TestMeterShapes(t *testing.T) {
	for _, tc := range []struct {
		name  string
		meter netatmo.Meter
		body  string
		want  string
	}{
		{"times of the start", netatmo.Electricity, `{"1759991400":[null,5,null,null]}`, "1759993200 basic=5"},
		{"no contract", netatmo.Electricity, `{"1759991400":[7,null,null,null]}`, "1759993200 energy=7"},
		{"a total beside tariffs would count twice", netatmo.Electricity, `{"1759991400":[7,null,3,4]}`, "1759993200 peak=3 off_peak=4"},
		{"nothing used", netatmo.Electricity, `{"1759991400":[null,0,null,null]}`, "1759993200 basic=0"},
		{"strings, negatives and nonsense", netatmo.Electricity, `{"1759991400":[null,"12",-3,"NaN"]}`, "1759993200 basic=12"},
		{"another number of columns", netatmo.Electricity, `{"1759991400":[5]}`, "1759993200 "},
		{"water without tariffs", netatmo.Water, `{"1759991400":[31,null,null,null]}`, "1759993200 water=31"},
		{"means of ten minutes", netatmo.Boiler, `{"1759991400":[200,400]}`, "1759993200 boiler_on_time=600"},
		{"neither on nor off", netatmo.Boiler, `{"1759991400":[0,0],"1759993200":[5,null]}`, "1759993200 , 1759995000 "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := saying(200, `{"body":`+tc.body+`,"status":"ok","time_server":1760000060}`)
			got, err := c.Measure(t.Context(), netatmo.MeasureQuery{DeviceID: "d", Meter: tc.meter}, netatmo.History)
			if err != nil || buckets(got.Samples) != tc.want {
				t.Errorf("got %q, %v; want %q", buckets(got.Samples), err, tc.want)
			}
		})
	}
}

// The times of a query for a meter are ends of buckets; Netatmo takes starts.
func TestMeterQuery(t *testing.T) {
	const energy = "sum_energy_buy_from_grid%2Csum_energy_buy_from_grid%240%2Csum_energy_buy_from_grid%241%2Csum_energy_buy_from_grid%242"
	for _, tc := range []struct {
		q    netatmo.MeasureQuery
		form string
	}{
		{netatmo.MeasureQuery{DeviceID: "d", ModuleID: "m", Meter: netatmo.Electricity, Begin: time.Unix(1760001801, 0), End: time.Unix(1760005800, 0)},
			"date_begin=1760000001&date_end=1760004000&device_id=d&limit=1024&module_id=m&optimize=false&real_time=true&scale=30min&type=" + energy},
		{netatmo.MeasureQuery{DeviceID: "d", ModuleID: "d#6", Meter: netatmo.Gas},
			"device_id=d&limit=1024&module_id=d%236&optimize=false&real_time=true&scale=30min&type=sum_energy_elec%2Csum_energy_elec%240%2Csum_energy_elec%241%2Csum_energy_elec%242"},
		{netatmo.MeasureQuery{DeviceID: "d", ModuleID: "m", Meter: netatmo.Boiler},
			"device_id=d&limit=1024&module_id=m&optimize=false&real_time=true&scale=30min&type=boileron%2Cboileroff"},
		{netatmo.MeasureQuery{HomeID: "h", RoomID: "r", Columns: columns("temperature", "sp_temperature"), Coarse: true, Begin: time.Unix(1760000000, 0)},
			"date_begin=1760000000&home_id=h&limit=1024&optimize=false&real_time=true&room_id=r&scale=30min&type=temperature%2Csp_temperature"},
	} {
		c := serve(t, netatmo.Options{}, func(w http.ResponseWriter, r *http.Request) {
			if got := r.URL.Query().Encode(); got != tc.form {
				t.Errorf("asked with %s, want %s", got, tc.form)
			}
			io.WriteString(w, `{"body":[]}`)
		})
		if _, err := c.Measure(t.Context(), tc.q, netatmo.History); err != nil {
			t.Error(err)
		}
	}
}

// TestMetersOfDevices: no history is asked of a device that has none.
func TestMetersOfDevices(t *testing.T) {
	const gateway, ecometer = "00:04:74:00:01:00", "00:04:74:00:02:00"
	type meter struct {
		kind   netatmo.Meter
		bridge string
	}
	want := map[string]meter{ // by id or end of it; all others have none
		"01:01": {netatmo.Electricity, gateway}, "01:02": {netatmo.Electricity, gateway}, "01:03": {netatmo.Electricity, gateway},
		"01:04": {netatmo.Electricity, gateway}, "01:05": {netatmo.Electricity, gateway}, "01:05#1": {netatmo.Electricity, gateway},
		"01:05#2": {netatmo.Electricity, gateway}, "01:05#3": {netatmo.Electricity, gateway}, "01:06": {netatmo.Electricity, gateway},
		"01:1b": {netatmo.Electricity, gateway}, "01:07": {netatmo.Electricity, gateway}, "01:08": {netatmo.Electricity, gateway},
		"01:09": {netatmo.Electricity, gateway}, "01:0a": {netatmo.Electricity, gateway}, "01:0b": {netatmo.Electricity, gateway},
		"01:0c": {netatmo.Electricity, gateway}, "01:0d#1": {netatmo.Electricity, gateway}, "01:0d#2": {netatmo.Electricity, gateway},
		"01:0e": {netatmo.Electricity, gateway}, "01:0f": {netatmo.Electricity, gateway}, "01:10": {netatmo.Electricity, gateway},
		"01:19": {netatmo.Electricity, gateway}, "01:1a": {netatmo.Electricity, gateway},
		ecometer + "#0": {netatmo.Line, ecometer}, ecometer + "#1": {netatmo.Line, ecometer}, ecometer + "#2": {netatmo.Line, ecometer},
		ecometer + "#3": {netatmo.Line, ecometer}, ecometer + "#4": {netatmo.Line, ecometer}, ecometer + "#5": {netatmo.Line, ecometer},
		ecometer + "#6": {netatmo.Gas, ecometer}, ecometer + "#7": {netatmo.Water, ecometer}, ecometer + "#8": {netatmo.Water, ecometer},
	}
	c := homesClient(t)
	homes, err := c.Homes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, h := range homes {
		if !strings.HasSuffix(h.ID, "a0001") {
			continue
		}
		answer, err := c.HomeStatus(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range answer.Readings {
			expected := want[strings.TrimPrefix(r.ModuleID, "00:04:74:00:00:00:")]
			if got := (meter{r.Meter, r.Bridge}); got != expected {
				t.Errorf("%s %s: %v, want %v", r.ModuleType, r.ModuleID, got, expected)
			}
			if expected.kind != netatmo.NoMeter {
				seen++
			}
		}
	}
	if seen != len(want) {
		t.Errorf("%d devices with a meter, want %d", seen, len(want))
	}
}
