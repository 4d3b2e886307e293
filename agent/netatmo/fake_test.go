package netatmo_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"netatmo-agent/agent/netatmo"
)

// tokens is a TokenSource whose tokens are secret-1, secret-2 and so on; each
// rejection of the current one produces the next.
type tokens struct {
	mu       sync.Mutex
	n        int
	rejected []string
	err      error
}

func (s *tokens) Token(context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return "secret-" + strconv.Itoa(s.n+1), s.err
}

func (s *tokens) Reject(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rejected = append(s.rejected, token)
	s.n++
}

// serve returns a client of a real server with the handler.
func serve(t *testing.T, o netatmo.Options, handler http.HandlerFunc) *netatmo.Client {
	t.Helper()
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	o.BaseURL = srv.URL
	if o.Tokens == nil {
		o.Tokens = &tokens{}
	}
	if o.Gate == nil {
		o.Gate = netatmo.NewGate(400)
	}
	return netatmo.NewClient(o)
}

// transport answers in memory, for fuzzing, benchmarks and fake clocks.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// clientOver returns a client that uses the transport.
func clientOver(rt transport, gate *netatmo.Gate) *netatmo.Client {
	return netatmo.NewClient(netatmo.Options{BaseURL: "http://netatmo.test", Tokens: &tokens{}, Gate: gate, HTTP: &http.Client{Transport: rt}})
}

func saying(status int, body string) *netatmo.Client {
	return clientOver(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
	}, netatmo.NewGate(400))
}

// fieldNames are the names of the fields by number, for golden files and
// failure messages.
var fieldNames = []string{
	netatmo.Temperature: "temperature", netatmo.TemperatureMin: "min", netatmo.TemperatureMax: "max",
	netatmo.TemperatureTrend: "trend", netatmo.Humidity: "humidity", netatmo.CO2: "co2",
	netatmo.CO2Calibrating: "calibrating", netatmo.Noise: "noise", netatmo.Pressure: "pressure",
	netatmo.AbsolutePressure: "absolute_pressure", netatmo.PressureTrend: "pressure_trend",
	netatmo.Rain: "rain", netatmo.RainHour: "rain_hour", netatmo.RainDay: "rain_day",
	netatmo.WindSpeed: "wind", netatmo.WindDirection: "wind_direction", netatmo.GustSpeed: "gust",
	netatmo.GustDirection: "gust_direction", netatmo.WindSpeedMax: "wind_max",
	netatmo.WindDirectionMax: "wind_direction_max", netatmo.HealthIndex: "health",
	netatmo.MeasurementTime: "time", netatmo.BatteryPercent: "battery", netatmo.BatteryVoltage: "voltage",
	netatmo.WifiRSSI: "wifi", netatmo.RadioRSSI: "radio", netatmo.Reachable: "reachable",
	netatmo.Firmware: "firmware", netatmo.LastSeen: "last_seen", netatmo.SetpointTemp: "setpoint",
	netatmo.SetpointMode: "mode", netatmo.PowerRequest: "power", netatmo.BoilerOn: "boiler",
	netatmo.WindowOpen: "window", netatmo.SetpointEnd: "setpoint_end", netatmo.Anticipating: "anticipating",
	netatmo.PilotWire: "pilot_wire", netatmo.BoilerBoost: "boost", netatmo.CoolerOn: "cooler", netatmo.BoilerError: "boiler_error",
	netatmo.BoilerProbe: "probe", netatmo.HomeMode: "home_mode", netatmo.BatteryState: "battery_state", netatmo.Power: "watts",
	netatmo.SwitchOn: "on", netatmo.LoadShed: "load_shed", netatmo.Brightness: "brightness", netatmo.Position: "position",
	netatmo.TargetPosition: "target", netatmo.ContactorMode: "contactor_mode", netatmo.FanSpeed: "fan_speed", netatmo.FanMode: "fan_mode",
	netatmo.DoorOpen: "door", netatmo.LastActivity: "last_activity", netatmo.Sounding: "sounding", netatmo.Monitoring: "monitoring",
	netatmo.PowerOK: "power_ok", netatmo.SDStatus: "sd", netatmo.Floodlight: "floodlight",
	netatmo.BoilerOnTime: "boiler_on_time", netatmo.EnergyTotal: "energy", netatmo.EnergyBasic: "basic", netatmo.EnergyPeak: "peak",
	netatmo.EnergyOffPeak: "off_peak", netatmo.GasAmount: "gas", netatmo.WaterAmount: "water",
}

func values(v netatmo.Values) string {
	var parts []string
	for _, x := range v {
		parts = append(parts, fieldNames[x.Field]+"="+strconv.FormatFloat(x.Number, 'f', -1, 64))
	}
	return strings.Join(parts, " ")
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return strconv.FormatInt(t.Unix(), 10)
}

// show writes a whole answer as text.
func show(w io.Writer, a netatmo.Answer) {
	fmt.Fprintf(w, "server %s\n", stamp(a.Server))
	for _, e := range a.Rejected {
		fmt.Fprintf(w, "rejected %s\n", e.Error())
	}
	for _, r := range a.Readings {
		fmt.Fprintf(w, "\n%s %s %s %q", r.Family, r.ModuleType, r.ModuleID, r.ModuleName)
		if r.Foreign {
			fmt.Fprint(w, " foreign")
		}
		fmt.Fprintf(w, "\n  station %s %q home %s %q\n", r.StationID, r.StationName, r.HomeID, r.HomeName)
		fmt.Fprintf(w, "  wire %q %q %q\n", r.Wire.Module, r.Wire.Station, r.Wire.Home)
		fmt.Fprintf(w, "  measured %s seen %s answered %s\n", stamp(r.Measured), stamp(r.Seen), stamp(r.Answered))
		if r.RoomName != "" {
			fmt.Fprintf(w, "  in %q\n", r.RoomName)
		}
		for _, s := range r.States {
			fmt.Fprintf(w, "  %s %s\n", fieldNames[s.Field], s.Name)
		}
		fmt.Fprintf(w, "  %s\n", values(r.Values))
	}
}
