package netatmo_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/simcloud"
)

// granted is a TokenSource with one token of a simulated cloud.
type granted string

func (g granted) Token(context.Context) (string, error) { return string(g), nil }
func (granted) Reject(string)                           {}

// at serves a simulated cloud whose clock stops at now.
func at(t *testing.T, now time.Time, scopes ...string) (*simcloud.Cloud, *netatmo.Client) {
	t.Helper()
	cloud := simcloud.New(simcloud.Options{Start: now.AddDate(0, 0, -10), Now: func() time.Time { return now }, QuotaPer10s: -1, QuotaPerHour: -1})
	token := cloud.Auth().Grant(scopes...).Access
	return cloud, serve(t, netatmo.Options{Tokens: granted(token), Gate: netatmo.NewGate(400)}, cloud.ServeHTTP)
}

// keys are the cloud's names of the fields.
var keys = map[netatmo.Field]string{
	netatmo.Temperature: "Temperature", netatmo.Humidity: "Humidity", netatmo.CO2: "CO2",
	netatmo.Noise: "Noise", netatmo.Pressure: "Pressure", netatmo.AbsolutePressure: "AbsolutePressure",
	netatmo.Rain: "Rain", netatmo.RainHour: "sum_rain_1", netatmo.RainDay: "sum_rain_24",
	netatmo.WindSpeed: "WindStrength", netatmo.WindDirection: "WindAngle",
	netatmo.GustSpeed: "GustStrength", netatmo.GustDirection: "GustAngle",
	netatmo.HealthIndex: "health_idx", netatmo.BatteryPercent: "battery_percent",
	netatmo.SetpointTemp: "sp_temperature", netatmo.PowerRequest: "heating_power_request",
}

// TestLiveAgainstCloud compares every value of an account with what the
// simulated cloud, which has its own wire types, says it served.
func TestLiveAgainstCloud(t *testing.T) {
	now := time.Unix(1760000060, 0)
	cloud, c := at(t, now, "read_station", "read_homecoach", "read_thermostat")
	var readings []netatmo.Reading
	add := func(a netatmo.Answer, err error) {
		if err != nil || len(a.Rejected) > 0 || len(a.Readings) == 0 {
			t.Fatalf("%d readings, rejected %v, %v", len(a.Readings), a.Rejected, err)
		}
		readings = append(readings, a.Readings...)
	}
	add(c.Weather(t.Context(), true))
	add(c.HomeCoaches(t.Context()))
	homes, err := c.Homes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range homes {
		add(c.HomeStatus(t.Context(), h))
	}

	compared := map[netatmo.Field]bool{}
	for _, r := range readings {
		for field, key := range keys {
			want, when, ok := cloud.ValueAt(r.ModuleID, key, now)
			got, has := r.Values.Get(field)
			if ok != has || got != want {
				t.Errorf("%s %s: %s is %g, %v; the cloud has %g, %v", r.ModuleType, r.ModuleID, fieldNames[field], got, has, want, ok)
			}
			if has && r.Family != netatmo.Energy && field == netatmo.Temperature && !r.Measured.Equal(when) {
				t.Errorf("%s: measured %s, in the cloud %s", r.ModuleID, r.Measured, when)
			}
			compared[field] = compared[field] || has
		}
	}
	for field := range keys {
		if !compared[field] {
			t.Errorf("no device of the cloud has %s", fieldNames[field])
		}
	}
	for _, m := range cloud.Modules() {
		if !slices.ContainsFunc(readings, func(r netatmo.Reading) bool { return r.ModuleID == m.ID && r.ModuleName == m.Name }) {
			t.Errorf("no reading of %s %s %q", m.Type, m.ID, m.Name)
		}
	}
}

// TestHistoryAgainstCloud pages through ten days of every sensor.
func TestHistoryAgainstCloud(t *testing.T) {
	now := time.Unix(1760000060, 0)
	cloud, _ := at(t, now)
	token := cloud.Auth().Grant("read_station", "read_homecoach", "read_thermostat").Access
	for _, m := range cloud.Modules() {
		if len(m.Types) == 0 {
			continue
		}
		c := serve(t, netatmo.Options{Tokens: granted(token)}, cloud.ServeHTTP) // a gate of its own
		q := netatmo.MeasureQuery{DeviceID: m.StationID, ModuleID: m.ID, Columns: columns(m.Types...), Begin: now.AddDate(0, 0, -7), End: now}
		if m.Type == simcloud.TypeRoom {
			q = netatmo.MeasureQuery{HomeID: m.HomeID, RoomID: m.ID, Columns: q.Columns, Begin: q.Begin, End: q.End}
		}
		got := make([][]simcloud.Sample, len(m.Types))
		for {
			page, err := c.Measure(t.Context(), q, netatmo.Live)
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Samples) == 0 {
				break
			}
			for _, s := range page.Samples {
				for i, c := range q.Columns {
					if v, ok := s.Values.Get(c.Field); ok {
						got[i] = append(got[i], simcloud.Sample{Time: s.Time.Local(), Value: v})
					}
				}
			}
			q.Begin = page.Samples[len(page.Samples)-1].Time.Add(time.Second)
		}
		for i, typ := range m.Types {
			want := cloud.Held(m.ID, typ, now.AddDate(0, 0, -7), now)
			if len(want) == 0 || !slices.Equal(got[i], want) {
				t.Errorf("%s of %s %q: %d samples, the cloud has %d", typ, m.Type, m.Name, len(got[i]), len(want))
			}
		}
	}
}

// TestFaultsOfTheCloud: whatever the cloud does instead of answering is an
// error of the right class, and the next request succeeds.
func TestFaultsOfTheCloud(t *testing.T) {
	now := time.Unix(1760000060, 0)
	for kind, class := range map[simcloud.Kind]netatmo.Class{
		simcloud.TokenUnknown: netatmo.ClassAuth, simcloud.TokenExpired: netatmo.ClassAuth,
		simcloud.AppDeactivated: netatmo.ClassApp, simcloud.ScopeMissing: netatmo.ClassScope,
		simcloud.QuotaReached: netatmo.ClassQuota, simcloud.QuotaReached403: netatmo.ClassQuota,
		simcloud.Busy: netatmo.ClassBusy, simcloud.Forbidden: netatmo.ClassBusy,
		simcloud.Internal: netatmo.ClassServer, simcloud.BackendText: netatmo.ClassServer,
		simcloud.ErrorString: netatmo.ClassServer, simcloud.Unavailable: netatmo.ClassServer,
		simcloud.HTML: netatmo.ClassMalformed, simcloud.Empty: netatmo.ClassMalformed,
		simcloud.Truncated: netatmo.ClassMalformed,
		simcloud.Cut:       netatmo.ClassNetwork, simcloud.HangUp: netatmo.ClassNetwork,
		simcloud.Pretty: "",
	} {
		t.Run(string(kind), func(t *testing.T) {
			cloud, c := at(t, now, "read_station")
			cloud.Inject(simcloud.Fault{Kind: kind, Times: -1})
			a, err := c.Weather(t.Context(), false)
			fail, _ := errors.AsType[*netatmo.Error](err)
			switch {
			case class == "" && (err != nil || len(a.Readings) == 0):
				t.Errorf("%d readings, %v", len(a.Readings), err)
			case class != "" && (fail == nil || fail.Class != class):
				t.Errorf("%v, want class %s", err, class)
			}
			cloud.Heal()
			again := serve(t, netatmo.Options{Tokens: granted(cloud.Auth().Current().Access)}, cloud.ServeHTTP)
			if a, err := again.Weather(t.Context(), false); err != nil || len(a.Readings) == 0 {
				t.Errorf("afterwards: %d readings, %v", len(a.Readings), err)
			}
		})
	}
}
