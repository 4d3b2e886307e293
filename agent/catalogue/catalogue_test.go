package catalogue_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"netatmo-agent/agent/catalogue"
	"netatmo-agent/agent/netatmo"
)

func TestEveryFieldIsOneMetric(t *testing.T) {
	seen := map[netatmo.Field]string{}
	for _, m := range catalogue.Readings() {
		for _, f := range m.Fields() {
			if other, twice := seen[f]; twice {
				t.Errorf("%s and %s show the same field", m.Name, other)
			}
			seen[f] = m.Name
		}
	}
	for f := netatmo.Temperature; f < netatmo.FieldEnd; f++ {
		if _, ok := seen[f]; !ok {
			t.Errorf("field %d is in no metric", f)
		}
	}
}

func TestNamesAndUnitsSurviveTranslation(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range slices.Concat(catalogue.Readings(), catalogue.Agent(), catalogue.ExporterReadings(), catalogue.ExporterAgent()) {
		if seen[m.Name] {
			t.Errorf("%s is in the table twice", m.Name)
		}
		seen[m.Name] = true
		if m.Unit == "1" {
			t.Errorf("%s has the unit 1, which Prometheus would call a ratio", m.Name)
		}
		if m.Description == "" {
			t.Errorf("%s has no description", m.Name)
		}
	}
}

func TestExporterNames(t *testing.T) {
	want := []string{
		"netatmo_sensor_updated", "netatmo_sensor_temperature_celsius", "netatmo_sensor_humidity_percent",
		"netatmo_sensor_co2_ppm", "netatmo_sensor_noise_db", "netatmo_sensor_pressure_mb",
		"netatmo_sensor_wind_strength_kph", "netatmo_sensor_wind_direction_degrees", "netatmo_sensor_rain_amount_mm",
		"netatmo_sensor_battery_percent", "netatmo_sensor_wifi_signal_strength", "netatmo_sensor_rf_signal_strength",
		"netatmo_up", "netatmo_refresh_interval_seconds", "netatmo_last_refresh_time",
		"netatmo_last_refresh_duration_seconds", "netatmo_cache_updated_time",
		"netatmo_exporter_token_valid", "netatmo_exporter_token_expiry_time",
	}
	var got []string
	for _, m := range slices.Concat(catalogue.ExporterReadings(), catalogue.ExporterAgent()) {
		got = append(got, m.Name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestHistory(t *testing.T) {
	want := map[string]string{
		netatmo.TypeStation:    "Temperature,CO2,Humidity,Pressure,Noise",
		netatmo.TypeHomeCoach:  "Temperature,CO2,Humidity,Pressure,Noise",
		netatmo.TypeOutdoor:    "Temperature,Humidity",
		netatmo.TypeIndoor:     "Temperature,CO2,Humidity",
		netatmo.TypeWind:       "WindStrength,WindAngle,GustStrength,GustAngle",
		netatmo.TypeRain:       "Rain",
		netatmo.TypeRoom:       "temperature,sp_temperature",
		netatmo.TypeThermostat: "",
		netatmo.TypeValve:      "",
		netatmo.TypeRelay:      "",
	}
	withHistory := map[netatmo.Field]bool{}
	for module, types := range want {
		var got []string
		for _, c := range catalogue.History(module) {
			got = append(got, c.Type)
			withHistory[c.Field] = true
		}
		if strings.Join(got, ",") != types {
			t.Errorf("%s: types %q, want %q", module, got, types)
		}
	}
	for _, m := range catalogue.Readings() {
		if withHistory[m.Field] != (m.History != "") {
			t.Errorf("%s: history %q, but some module requests it: %t", m.Name, m.History, withHistory[m.Field])
		}
	}
}

func TestFresh(t *testing.T) {
	now := time.Unix(1_760_000_000, 0)
	ago := func(minutes int) time.Time { return now.Add(-time.Duration(minutes) * time.Minute) }
	tests := []struct {
		name                  string
		reading               netatmo.Reading
		sensor, radio, status bool
	}{
		{"all is new", netatmo.Reading{Measured: ago(1), Seen: ago(1), Answered: now}, true, true, true},
		{"at the limit", netatmo.Reading{Measured: ago(20), Seen: ago(20), Answered: ago(20)}, true, true, true},
		{"frozen values under a new answer", netatmo.Reading{Measured: ago(21), Seen: ago(21), Answered: now}, false, false, true},
		{"radio contact without values", netatmo.Reading{Measured: ago(21), Seen: ago(2), Answered: now}, false, true, true},
		{"nothing measured, nothing seen", netatmo.Reading{Answered: now}, false, false, true},
		{"Netatmo has not answered for long", netatmo.Reading{Measured: ago(25), Seen: ago(25), Answered: ago(21)}, false, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for field, want := range map[netatmo.Field]bool{
				netatmo.Temperature: tt.sensor, netatmo.BatteryPercent: tt.radio, netatmo.Reachable: tt.status,
			} {
				if got := catalogue.Fresh(field, &tt.reading, now, 20*time.Minute); got != want {
					t.Errorf("field %d: %t, want %t", field, got, want)
				}
			}
		})
	}
}

func TestAttributes(t *testing.T) {
	outdoor := netatmo.Reading{
		Family: netatmo.Weather, ModuleID: "02:00:00:00:00:01", ModuleName: "Garden", ModuleType: netatmo.TypeOutdoor,
		StationID: "70:ee:50:00:00:01", StationName: "Home", HomeID: "5f00", HomeName: "Villa",
		Wire: netatmo.WireNames{Module: "id-02:00:00 :00:00:01", Station: "Home"},
	}
	room := netatmo.Reading{Family: netatmo.Energy, ModuleID: "1234", ModuleName: "Bath", ModuleType: netatmo.TypeRoom, HomeID: "5f00"}

	want := []catalogue.Attribute{
		{"home.id", "5f00"}, {"home.name", "Villa"},
		{"module.id", "02:00:00:00:00:01"}, {"module.name", "Garden"}, {"module.type", "outdoor"},
		{"station.id", "70:ee:50:00:00:01"}, {"station.name", "Home"},
	}
	if got := catalogue.Attributes(outdoor); !reflect.DeepEqual(got, want) {
		t.Errorf("outdoor: %v, want %v", got, want)
	}
	want = []catalogue.Attribute{
		{"home.id", "5f00"}, {"module.id", "1234"}, {"module.name", "Bath"}, {"module.type", "room"},
	}
	if got := catalogue.Attributes(room); !reflect.DeepEqual(got, want) {
		t.Errorf("room: %v, want %v", got, want)
	}
	want = []catalogue.Attribute{{"home", ""}, {"module", "id-02:00:00 :00:00:01"}, {"station", "Home"}}
	if got := catalogue.ExporterAttributes(outdoor); !reflect.DeepEqual(got, want) {
		t.Errorf("labels of netatmo-exporter: %v, want %v", got, want)
	}
	if !catalogue.InExporter(outdoor) || catalogue.InExporter(room) {
		t.Error("netatmo-exporter's names exist for stations and their modules, not for rooms")
	}
}

// The agent requests the history of exactly what it exports, under either
// names.
func TestHistoryIsRequestedForMetricsOnly(t *testing.T) {
	for _, row := range []struct {
		moduleType    string
		own, exporter string
	}{
		{netatmo.TypeStation, "Temperature,CO2,Humidity,Pressure,Noise", "Temperature,CO2,Humidity,Pressure,Noise"},
		{netatmo.TypeWind, "WindStrength,WindAngle,GustStrength,GustAngle", "WindStrength,WindAngle"},
		{netatmo.TypeRoom, "temperature,sp_temperature", ""},
		{netatmo.TypeRelay, "", ""},
	} {
		var own, exporter []string
		for _, c := range catalogue.History(row.moduleType) {
			own = append(own, c.Type)
		}
		for _, c := range catalogue.ExporterHistory(row.moduleType) {
			exporter = append(exporter, c.Type)
		}
		if strings.Join(own, ",") != row.own || strings.Join(exporter, ",") != row.exporter {
			t.Errorf("%s: %v, %v", row.moduleType, own, exporter)
		}
	}
}
