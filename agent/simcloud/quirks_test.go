package simcloud_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
)

const (
	stationKeys = "_id co2_calibrating dashboard_data data_type date_setup firmware home_id home_name last_setup last_status_store module_name modules place reachable station_name type wifi_status"
	moduleKeys  = "_id battery_percent battery_vp dashboard_data data_type firmware last_message last_seen last_setup module_name reachable rf_status type"
	coachKeys   = "_id co2_calibrating dashboard_data data_type date_setup firmware last_setup last_status_store module_name place reachable station_name type wifi_status"
)

// TestShapes checks the keys of an ordinary account's answers.
func TestShapes(t *testing.T) {
	r := newRig(t, simcloud.Options{})
	for id, want := range map[string][2]string{
		station:             {stationKeys, "AbsolutePressure CO2 Humidity Noise Pressure Temperature date_max_temp date_min_temp max_temp min_temp pressure_trend temp_trend time_utc"},
		garden:              {moduleKeys, "Humidity Temperature date_max_temp date_min_temp max_temp min_temp temp_trend time_utc"},
		bedroom:             {moduleKeys, "CO2 Humidity Temperature date_max_temp date_min_temp max_temp min_temp temp_trend time_utc"},
		roof:                {moduleKeys, "GustAngle GustStrength WindAngle WindStrength date_max_wind_str max_wind_angle max_wind_str time_utc"},
		lawn:                {moduleKeys, "Rain sum_rain_1 sum_rain_24 time_utc"},
		"70:ee:50:00:20:01": {coachKeys, "AbsolutePressure CO2 Humidity Noise Pressure Temperature date_max_temp date_min_temp health_idx max_temp min_temp time_utc"},
	} {
		d := r.device(id)
		delete(d, "last_upgrade") // some were never upgraded
		if got := keys(d); got != want[0] {
			t.Errorf("%s has\n%s, want\n%s", id, got, want[0])
		}
		if got := keys(d["dashboard_data"].(object)); got != want[1] {
			t.Errorf("dashboard_data of %s has\n%s, want\n%s", id, got, want[1])
		}
	}
	homes := r.body("homesdata").(object)["homes"].([]any)
	if got, want := keys(homes[0].(object)), "altitude coordinates country id modules name rooms schedules temperature_control_mode therm_mode therm_setpoint_default_duration timezone"; got != want {
		t.Errorf("a home of homesdata has\n%s, want\n%s", got, want)
	}
	for id, want := range map[string]string{
		station:      "absolute_pressure co2 firmware_revision humidity id noise pressure temperature ts type wifi_state wifi_strength",
		garden:       "battery_level battery_state bridge firmware_revision humidity id last_seen reachable rf_state rf_strength temperature ts type",
		relay:        "firmware_revision id rf_strength type wifi_strength",
		thermo:       "anticipating battery_level battery_state boiler_status boiler_valve_comfort_boost bridge firmware_revision id reachable rf_strength type",
		"2746182001": "anticipating id open_window reachable therm_measured_temperature therm_setpoint_end_time therm_setpoint_mode therm_setpoint_start_time therm_setpoint_temperature",
		"2746182002": "anticipating heating_power_request id open_window reachable therm_measured_temperature therm_setpoint_end_time therm_setpoint_mode therm_setpoint_start_time therm_setpoint_temperature",
	} {
		if got := keys(r.status(home)[id]); got != want {
			t.Errorf("homestatus has for %s\n%s, want\n%s", id, got, want)
		}
	}
	if homes := r.body("homesdata", "gateway_types", "NAPlug,OTH").(object)["homes"].([]any); len(homes) != 1 {
		t.Errorf("homes with a relay: %v", homes)
	}
	if homes := r.body("homesdata", "gateway_types", "BNS").(object)["homes"].([]any); len(homes) != 0 {
		t.Errorf("homes with a Smarther: %v", homes)
	}
	if strings.Contains(r.request("homestatus", "home_id", home).Body.String(), "time_exec") {
		t.Error("homestatus names time_exec, which the real one does not")
	}
}

// status returns the modules and rooms of homestatus by id.
func (r *rig) status(home string) map[string]object {
	r.t.Helper()
	all := map[string]object{}
	state, _ := r.body("homestatus", "home_id", home).(object)["home"].(object)
	for _, part := range []string{"modules", "rooms"} {
		list, _ := state[part].([]any)
		for _, x := range list {
			all[x.(object)["id"].(string)] = x.(object)
		}
	}
	return all
}

// TestQuirks checks every odd device of the account Quirks.
func TestQuirks(t *testing.T) {
	r := newRig(t, simcloud.Options{Scenario: simcloud.Quirks()})
	odd := func(n int) string {
		for id := range r.devices("getstationsdata") {
			if strings.HasSuffix(id, fmt.Sprintf(":00:00:00:11:%02x", n)) {
				return id
			}
		}
		t.Fatalf("no module %d", n)
		return ""
	}
	dash := func(d object) object { o, _ := d["dashboard_data"].(object); return o }
	for _, tc := range []struct {
		name string
		id   string
		good func(d object) bool
	}{
		{"unnamed", odd(3), func(d object) bool { return d["module_name"] == nil && dash(d) != nil }},
		{"same name", odd(2), func(d object) bool {
			return d["module_name"] == "Garden" && r.device(odd(1))["module_name"] == "Garden"
		}},
		{"no time_utc", odd(5), func(d object) bool { return dash(d)["Temperature"] != nil && dash(d)["time_utc"] == nil }},
		{"no data", odd(6), func(d object) bool { return d["reachable"] == true && dash(d) == nil }},
		{"unreachable", odd(7), func(d object) bool { return d["reachable"] == false && dash(d) == nil && d["battery_vp"] != nil }},
		{"dead", odd(8), func(d object) bool {
			return d["reachable"] == false && dash(d) == nil && fmt.Sprintln(d["firmware"], d["rf_status"], d["battery_vp"], d["battery_percent"], d["last_seen"], d["last_message"]) == "255 255 65535 100 0 0\n"
		}},
		{"minimal", odd(9), func(d object) bool { return keys(d) == "_id data_type module_name type" }},
		{"mixed numbers", odd(10), func(d object) bool {
			_, text := dash(d)["Temperature"].(string)
			return text && strings.Contains(string(dash(d)["min_temp"].(json.Number)), ".") && strings.Contains(string(dash(d)["max_temp"].(json.Number)), "e")
		}},
		{"null", "70:ee:50:00:11:00", func(d object) bool { v, sent := dash(d)["Noise"]; return sent && v == nil }},
		{"calibrating", odd(11), func(d object) bool { return dash(d)["CO2"] == nil && dash(d)["Temperature"] != nil }},
		{"calibrating station", "70:ee:50:00:22:00", func(d object) bool { return d["co2_calibrating"] == true && dash(d)["CO2"] == nil }},
		{"unknown type", odd(15), func(d object) bool { return d["type"] == "NAModule9" }},
		{"blanks in ids", "70:ee:50 :00: 21:00", func(d object) bool {
			_, modules := d["modules"]
			return d["station_name"] == nil && d["module_name"] == nil && !modules && dash(d) != nil
		}},
		{"offline station", "70:ee:50:00:23:00", func(d object) bool { return d["reachable"] == false && d["home_id"] == nil && dash(d) == nil }},
		{"module of the offline station", "02:00:00:00:23:01", func(d object) bool { return d["reachable"] == false && dash(d) == nil }},
		{"station of 2015", "70:ee:50:00:24:00", func(d object) bool { return keys(d) == "_id data_type module_name type" }},
		{"guest", "70:ee:50:00:30:01", func(d object) bool { return d["read_only"] == true && dash(d)["CO2"] != nil && d["home_id"] != nil }},
		{"no favourite unasked", "70:ee:50:00:40:01", func(d object) bool { return d == nil }},
		{"unnamed coach", "70:ee:50:00:12:02", func(d object) bool { return d["module_name"] == nil && d["station_name"] == "" }},
		{"coach without data", "70:ee:50:00:12:03", func(d object) bool { return d["reachable"] == true && dash(d) == nil }},
		{"shared coach", "70:ee:50:00:12:04", func(d object) bool { return d["read_only"] == true }},
		{"calibrating coach", "70:ee:50:00:12:05", func(d object) bool { return d["co2_calibrating"] == true && dash(d)["CO2"] == nil }},
	} {
		if d := r.device(tc.id); !tc.good(d) {
			t.Errorf("%s: %v", tc.name, d)
		}
	}

	favorite := r.devices("getstationsdata", "get_favorites", "true", "device_id", "70:ee:50:00:40:01")
	if got, want := keys(favorite["70:ee:50:00:40:01"]), "_id dashboard_data data_type favorite last_status_store modules place reachable read_only station_name type"; got != want {
		t.Errorf("favourite has\n%s, want\n%s", got, want)
	}
	if got := keys(dash(favorite["70:ee:50:00:40:01"])); got != "AbsolutePressure Pressure pressure_trend time_utc" {
		t.Errorf("favourite has %s", got)
	}
	if got := keys(favorite["02:00:00:00:40:02"]); got != "_id dashboard_data data_type reachable type" {
		t.Errorf("module of a favourite has %s", got)
	}

	shared := 0
	for _, s := range r.body("getstationsdata").(object)["devices"].([]any) {
		shared += strings.Count(fmt.Sprint(s), "03:00:00:00:11:11")
	}
	if shared != 2 {
		t.Errorf("the shared module is listed %d times", shared)
	}
}

// TestQuirksInTime needs more than one answer.
func TestQuirksInTime(t *testing.T) {
	r := newRig(t, simcloud.Options{Scenario: simcloud.Quirks()})
	find := func(name string) string {
		for _, m := range r.Modules() {
			if m.Name == name {
				return m.ID
			}
		}
		t.Fatalf("no module %q", name)
		return ""
	}
	back, none, nulls := 0, 0, 0
	noise := false
	last := int64(0)
	for range 200 {
		r.now = r.now.Add(10 * time.Minute)
		all := r.devices("getstationsdata")
		if now := measured(all["70:ee:50:00:22:00"]); now < last {
			back++
			last = now
		} else {
			last = now
		}
		if all[find("Lull")]["dashboard_data"].(object)["WindAngle"] == json.Number("-1") {
			none++
		}
		patchy := all[find("Patchy")]["dashboard_data"].(object)
		if v, sent := patchy["CO2"]; sent && v == nil {
			nulls++
		}
	}
	for _, s := range r.Held(find("Drizzle"), "Rain", begin.AddDate(0, 0, -60), r.now) {
		noise = noise || len(fmt.Sprint(s.Value)) > 10
	}
	if back < 50 || none < 50 || nulls == 0 || !noise {
		t.Errorf("time went back %d times, WindAngle was -1 %d times, CO2 null %d times, float noise in rain: %v", back, none, nulls, noise)
	}
	row := fmt.Sprint(r.body("getmeasure", "device_id", "70:ee:50:00:11:00", "module_id", find("Patchy"), "scale", "max", "type", "Temperature,CO2"))
	if !strings.Contains(row, "<nil>") {
		t.Error("no null in the history")
	}
}

func TestEnergyQuirks(t *testing.T) {
	r := newRig(t, simcloud.Options{Scenario: simcloud.Quirks()})
	all := r.status("5f0000000000000000000005")
	for _, tc := range []struct {
		name, id string
		good     func(d object) bool
	}{
		{"phantom room", "0", func(d object) bool { return d != nil }},
		{"end_time null", "5000000001", func(d object) bool { v, sent := d["therm_setpoint_end_time"]; return sent && v == nil }},
		{"open window", "5000000002", func(d object) bool { return d["open_window"] == true }},
		{"room without reachable", "5000000003", func(d object) bool { return d["reachable"] == nil && d["therm_measured_temperature"] != nil }},
		{"valve without reachable", "09:00:00:00:50:03", func(d object) bool { return d != nil && d["reachable"] == nil }},
		{"empty battery", "09:00:00:00:50:04", func(d object) bool { return d["battery_state"] == "very_low" }},
		{"unreachable valve", "09:00:00:00:50:05", func(d object) bool { return d["reachable"] == false }},
		{"its room", "5000000005", func(d object) bool { return d["reachable"] == false && d["therm_measured_temperature"] == nil }},
		{"shutter", "09:00:00:00:50:06", func(d object) bool { return d["type"] == "NXO" }},
		{"OpenTherm", "70:ee:50:00:51:00", func(d object) bool { return d["boiler_control"] != nil && d["reachable"] == nil }},
		{"modulating thermostat", "09:00:00:00:50:11", func(d object) bool { return d["last_seen"] != nil && d["boiler_status"] != nil }},
		{"Smarther", "70:ee:50:00:52:00", func(d object) bool { return d["cooler_status"] != nil }},
		{"its room", "5000000007", func(d object) bool { return d["therm_measured_temperature"] != nil }},
		{"never in homestatus", "09:00:00:00:50:07", func(d object) bool { return d == nil }},
		{"weather, lower case", "70:ee:50:00:55:01", func(d object) bool { return d["temperature"] != nil && d["Temperature"] == nil }},
	} {
		if !tc.good(all[tc.id]) {
			t.Errorf("%s: %v", tc.name, all[tc.id])
		}
	}
	topology := fmt.Sprint(r.body("homesdata"))
	for want, has := range map[string]bool{
		"70:ee:50:00:50:00#8": true, "09:00:00:00:50:07": true, "id:0 ": false,
		"5f0000000000000000000003": false, "5f0000000000000000000004": false, "Holiday flat": true,
	} {
		if strings.Contains(topology, want) != has {
			t.Errorf("homesdata has %q: %v, want %v", want, !has, has)
		}
	}
	for home, want := range map[string]string{
		"5f0000000000000000000007": `{}`,
		"5f0000000000000000000008": `{"errors":[{"code":6,"id":"70:ee:50:00:80:09"}],"home":{"id":"5f0000000000000000000008"}}`,
	} {
		got, _ := json.Marshal(r.body("homestatus", "home_id", home))
		if string(got) != want {
			t.Errorf("body of home %s: %s, want %s", home, got, want)
		}
	}
	both := r.body("homestatus", "home_id", "5f0000000000000000000009").(object)
	if rooms := both["home"].(object)["rooms"].([]any); len(rooms) != 1 || len(both["errors"].([]any)) != 1 {
		t.Errorf("one relay of two is offline: %v", both)
	}
	for _, guest := range []string{"5f0000000000000000000003", "5f0000000000000000000006"} {
		if code, message := errorOf(r.request("homestatus", "home_id", guest).Body.String()); code != 21 || message != "Invalid home_id" {
			t.Errorf("homestatus of %s: code %d %q", guest, code, message)
		}
	}
}

func TestEmptyAccount(t *testing.T) {
	r := newRig(t, simcloud.Options{Scenario: &simcloud.Scenario{}})
	for endpoint, want := range map[string]string{"getstationsdata": `"devices":[]`, "gethomecoachsdata": `"devices":[]`, "homesdata": `"homes":[]`} {
		if w := r.request(endpoint); w.Code != 200 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s", endpoint, w.Code, w.Body)
		}
	}
}

// TestRainRestartsAtMidnight also checks the sums against the samples.
func TestRainRestartsAtMidnight(t *testing.T) {
	r := newRig(t, simcloud.Options{})
	zone, _ := time.LoadLocation("Europe/Berlin")
	resets, wet, last := 0, 0, 0.0
	for range 20 * 24 * 6 {
		r.now = r.now.Add(10 * time.Minute)
		today, at, _ := r.ValueAt(lawn, "sum_rain_24", r.now)
		hour, _, _ := r.ValueAt(lawn, "sum_rain_1", r.now)
		local := at.In(zone)
		midnight := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, zone)
		var sum float64
		for _, s := range r.Held(lawn, "Rain", midnight, at) {
			sum += s.Value
		}
		if sum < today-0.001 || sum > today+1 { // the first sample began before midnight
			t.Fatalf("at %v the day has %v mm, its samples %v", local, today, sum)
		}
		if hour > today+0.001 && local.Hour() > 0 {
			t.Fatalf("at %v the hour has %v mm, the day %v", local, hour, today)
		}
		if today < last {
			if resets++; local.Hour() != 0 {
				t.Errorf("the sum of the day fell at %v", local)
			}
		}
		if today > 0 {
			wet++
		}
		last = today
	}
	if resets == 0 || wet == 0 {
		t.Errorf("%d resets, %d wet polls in twenty days", resets, wet)
	}
}
