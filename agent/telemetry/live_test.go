package telemetry

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"netatmo-agent/agent/logtest"
	"netatmo-agent/agent/netatmo"
)

// pushed pushes once and returns the readings' points as "metric{attributes} value".
func pushed(t *testing.T, exporterNames bool, readings ...netatmo.Reading) []string {
	t.Helper()
	b, log := &backend{}, &logtest.Log{}
	p := newTestPusher(t, b, log, func(o *Options) {
		o.ExporterNames = exporterNames
		o.Readings = func() []netatmo.Reading { return readings }
	})
	if err := p.PushNow(t.Context()); err != nil {
		t.Fatal(err)
	}
	var points []string
	for _, s := range samples(b.requests[0]) {
		name, _, _ := strings.Cut(s.series, " by ")
		if !strings.HasPrefix(name, "netatmo.agent.") {
			points = append(points, fmt.Sprintf("%s %v", name, s.value))
		}
	}
	slices.Sort(points)
	return points
}

func equalLines(t *testing.T, got []string, want string) {
	t.Helper()
	wanted := strings.Split(strings.TrimSpace(want), "\n")
	for i := range wanted {
		wanted[i] = strings.TrimSpace(wanted[i])
	}
	if !slices.Equal(got, wanted) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(wanted, "\n"))
	}
}

func TestPointsOfReadings(t *testing.T) {
	now := time.Now()
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	room := netatmo.Reading{
		Family: netatmo.Energy, ModuleID: "77", ModuleName: "Bath", ModuleType: netatmo.TypeRoom, HomeID: "5f01",
		Measured: now, Answered: now, States: []netatmo.State{{Field: netatmo.SetpointMode, Name: "schedule"}},
		Values: netatmo.Values{
			{Field: netatmo.Temperature, Number: 20.8}, {Field: netatmo.SetpointTemp, Number: 21},
			{Field: netatmo.SetpointMode, Number: 1},
		},
	}
	dead := outdoor("02:00", ago(time.Hour), 0)
	dead.Measured, dead.Answered = time.Time{}, now
	dead.Values = netatmo.Values{{Field: netatmo.Reachable, Number: 0}, {Field: netatmo.LastSeen, Number: 1_760_000_000}}
	frozen := outdoor("02:00", ago(21*time.Minute), 5)
	frozen.Answered = now
	frozen.Values = append(frozen.Values, netatmo.Value{Field: netatmo.BatteryPercent, Number: 80})
	contact := frozen
	contact.Seen = ago(time.Minute)

	const module = `{home.id=5f01,home.name=Villa,module.id=02:00,module.name=Garden 02:00,module.type=outdoor,station.id=70:ee:50:00:00:01,station.name=Home}`
	tests := []struct {
		name    string
		reading netatmo.Reading
		want    string
	}{
		{"the decimals that Netatmo sent", outdoor("02:00", ago(time.Minute), 24.6), `
			netatmo.humidity` + module + ` 61
			netatmo.module.reachable` + module + ` 1
			netatmo.temperature` + module + ` 24.6`},
		{"a zero is a value", outdoor("02:00", ago(time.Minute), 0), `
			netatmo.humidity` + module + ` 61
			netatmo.module.reachable` + module + ` 1
			netatmo.temperature` + module + ` 0`},
		{"nothing but status of a dead module", dead, `
			netatmo.module.last_seen` + module + ` 1.76e+09
			netatmo.module.reachable` + module + ` 0`},
		{"nothing but status when the values are frozen", frozen, `
			netatmo.module.reachable` + module + ` 1`},
		{"battery by the last contact", contact, `
			netatmo.battery.charge` + module + ` 80
			netatmo.module.reachable` + module + ` 1`},
		{"a room and its mode", room, `
			netatmo.setpoint.mode{home.id=5f01,module.id=77,module.name=Bath,module.type=room,setpoint.mode=away} 0
			netatmo.setpoint.mode{home.id=5f01,module.id=77,module.name=Bath,module.type=room,setpoint.mode=hg} 0
			netatmo.setpoint.mode{home.id=5f01,module.id=77,module.name=Bath,module.type=room,setpoint.mode=home} 0
			netatmo.setpoint.mode{home.id=5f01,module.id=77,module.name=Bath,module.type=room,setpoint.mode=manual} 0
			netatmo.setpoint.mode{home.id=5f01,module.id=77,module.name=Bath,module.type=room,setpoint.mode=max} 0
			netatmo.setpoint.mode{home.id=5f01,module.id=77,module.name=Bath,module.type=room,setpoint.mode=off} 0
			netatmo.setpoint.mode{home.id=5f01,module.id=77,module.name=Bath,module.type=room,setpoint.mode=schedule} 1
			netatmo.setpoint.temperature{home.id=5f01,module.id=77,module.name=Bath,module.type=room} 21
			netatmo.temperature{home.id=5f01,module.id=77,module.name=Bath,module.type=room} 20.8`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { equalLines(t, pushed(t, false, tt.reading), tt.want) })
	}
}

func TestNetatmoExporterNames(t *testing.T) {
	now := time.Now()
	r := outdoor("02:00", now, 24.6)
	r.Wire = netatmo.WireNames{Module: "id-02:00 ", Station: ""}
	r.Values = append(r.Values,
		netatmo.Value{Field: netatmo.MeasurementTime, Number: 1_760_000_000},
		netatmo.Value{Field: netatmo.BatteryPercent, Number: 87},
		netatmo.Value{Field: netatmo.RadioRSSI, Number: -65},
		netatmo.Value{Field: netatmo.GustSpeed, Number: 9})
	unreachable := outdoor("02:01", now, 0)
	unreachable.Measured = time.Time{}
	unreachable.Values = netatmo.Values{{Field: netatmo.BatteryPercent, Number: 17}, {Field: netatmo.RadioRSSI, Number: -87}, {Field: netatmo.Reachable, Number: 0}}
	room := netatmo.Reading{Family: netatmo.Energy, ModuleID: "77", Answered: now, Values: netatmo.Values{{Field: netatmo.Temperature, Number: 20.8}}}

	equalLines(t, pushed(t, true, r, unreachable, room), `
		netatmo_exporter_token_expiry_time{} 0
		netatmo_exporter_token_valid{} 0
		netatmo_refresh_interval_seconds{} 0
		netatmo_sensor_battery_percent{home=,module=id-02:00 ,station=} 87
		netatmo_sensor_humidity_percent{home=,module=id-02:00 ,station=} 61
		netatmo_sensor_rf_signal_strength{home=,module=id-02:00 ,station=} 65
		netatmo_sensor_temperature_celsius{home=,module=id-02:00 ,station=} 24.6
		netatmo_sensor_updated{home=,module=id-02:00 ,station=} 1.76e+09
		netatmo_up{} 0`)
}

// Two modules with one name have the same labels under netatmo-exporter's
// names; one module may be listed twice. The one measured last is exported,
// completely.
func TestSameAttributesGiveOnePoint(t *testing.T) {
	now := time.Now()
	older, newer := outdoor("02:00", now.Add(-2*time.Minute), 3), outdoor("02:00", now.Add(-time.Minute), 4)
	newer.Values = newer.Values[:1]
	for _, order := range [][]netatmo.Reading{{older, newer}, {newer, older}} {
		equalLines(t, pushed(t, true, order...), `
			netatmo_exporter_token_expiry_time{} 0
			netatmo_exporter_token_valid{} 0
			netatmo_refresh_interval_seconds{} 0
			netatmo_sensor_temperature_celsius{home=Villa,module=Garden 02:00,station=Home} 4
			netatmo_up{} 0`)
	}
}

// History of two modules with one name is that of the one that is exported
// live, even if they arrive in separate pushes; without live points it is that
// of the one measured last.
func TestSameAttributesGiveOneHistory(t *testing.T) {
	twins := func() []measurement {
		points := past(2, 2*time.Hour, 0)
		for i := range points {
			r := &points[i].Reading
			points[i].Time = points[i].Time.Truncate(5 * time.Minute)
			r.Wire.Module, r.Measured = "Garden", time.Now().Add(-time.Hour)
			if r.ModuleID == moduleID(1) {
				r.Measured = time.Now()
			}
		}
		slices.SortStableFunc(points, func(a, b measurement) int { return a.Time.Compare(b.Time) })
		return points
	}
	for _, live := range []int{-1, 0, 1} {
		t.Run(fmt.Sprint(live), func(t *testing.T) {
			b, points := &backend{}, twins()
			p := newTestPusher(t, b, &logtest.Log{}, func(o *Options) {
				o.ExporterNames = true
				o.Readings = func() []netatmo.Reading {
					a, b := points[0].Reading, points[1].Reading
					if live < 0 {
						return []netatmo.Reading{a, b}
					}
					a.Measured, b.Measured = time.Now().Add(-time.Duration(live)*time.Minute), time.Now().Add(-time.Minute/2)
					return []netatmo.Reading{b, a}
				}
			})
			want := moduleID(1)
			if live >= 0 {
				want = moduleID(live)
				if err := p.PushNow(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			for _, part := range [][]measurement{points[len(points)/2:], points[:len(points)/2]} {
				if done, refused, err := pushHistory(t.Context(), p, part); done != len(part) || refused != 0 || err != nil {
					t.Fatalf("%d done, %d refused, %v", done, refused, err)
				}
			}
			got := b.held("netatmo_sensor_temperature_celsius", "module=Garden,")
			for _, m := range points {
				if v := got[m.Time]; m.Reading.ModuleID == want && v != m.Values[0].Number {
					t.Errorf("%v at %s, want %v", v, m.Time, m.Values[0].Number)
				}
			}
			if sent := p.Stats().BackfillPoints; sent != int64(len(points)) {
				t.Errorf("%d values for %d measurements of two values each, half of them redundant", sent, len(points))
			}
		})
	}
}

func TestARemovedModuleIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		readings := []netatmo.Reading{outdoor("02:00", time.Now(), 3), outdoor("02:01", time.Now(), 4)}
		b := &backend{}
		p := newTestPusher(t, b, &logtest.Log{}, func(o *Options) {
			o.Readings = func() []netatmo.Reading { return readings }
		})
		for range 2 {
			if err := p.PushNow(t.Context()); err != nil {
				t.Fatal(err)
			}
			readings = readings[:1]
			time.Sleep(time.Minute)
		}
		if n := len(b.held("netatmo.temperature", "02:00")); n != 2 {
			t.Errorf("%d points of the module that stayed, want 2", n)
		}
		if n := len(b.held("netatmo.temperature", "02:01")); n != 1 {
			t.Errorf("%d points of the module that went, want 1", n)
		}
	})
}

func TestAgentMetrics(t *testing.T) {
	b := &backend{}
	poll := time.Unix(1_760_000_000, 0)
	p := newTestPusher(t, b, &logtest.Log{}, func(o *Options) {
		o.ExporterNames = true
		o.Agent = func() AgentValues {
			return AgentValues{
				Authorized: true, TokenExpiry: poll.Add(3 * time.Hour), Refreshes: map[string]int64{"ok": 2},
				PollTime: poll, PollSuccess: true, PollDuration: 1500 * time.Millisecond, LastSuccess: poll, RefreshInterval: 8 * time.Minute,
				Requests: map[APIRequest]int64{{"getstationsdata", "ok"}: 7}, Budget: 399,
			}
		}
	})
	for range 2 {
		if err := p.PushNow(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, s := range samples(b.requests[1]) {
		name, _, _ := strings.Cut(s.series, " by ")
		got = append(got, fmt.Sprintf("%s %v", name, s.value))
	}
	slices.Sort(got)
	equalLines(t, got, `
		netatmo.agent.api.budget{} 399
		netatmo.agent.api.requests{endpoint=getstationsdata,outcome=ok} 7
		netatmo.agent.authorized{} 1
		netatmo.agent.backfill.points{} 0
		netatmo.agent.backfill.refused{} 0
		netatmo.agent.info{version=v1} 1
		netatmo.agent.poll.duration{} 1.5
		netatmo.agent.poll.success{} 1
		netatmo.agent.poll.time{} 1.76e+09
		netatmo.agent.push.failures{reason=throttled} 0
		netatmo.agent.push.failures{reason=timeout} 0
		netatmo.agent.push.failures{reason=unavailable} 0
		netatmo.agent.push.failures{reason=unreachable} 0
		netatmo.agent.push.points{} 23
		netatmo.agent.token.expiry{} 1.7600108e+09
		netatmo.agent.token.refreshes{outcome=ok} 2
		netatmo_cache_updated_time{} 1.76e+09
		netatmo_exporter_token_expiry_time{} 1.7600108e+09
		netatmo_exporter_token_valid{} 1
		netatmo_last_refresh_duration_seconds{} 1.5
		netatmo_last_refresh_time{} 1.76e+09
		netatmo_refresh_interval_seconds{} 480
		netatmo_up{} 1`)
}

// The log says once that readings have been accepted. Pushes of the agent's own
// metrics, before there is a login, do not count.
func TestFirstReadingsAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const said = "the backend accepted the first readings"
		b, log := &backend{}, &logtest.Log{}
		var readings []netatmo.Reading
		p := newTestPusher(t, b, log, func(o *Options) {
			o.Readings = func() []netatmo.Reading { return readings }
		})
		push := func(want int) {
			t.Helper()
			_ = p.PushNow(t.Context())
			time.Sleep(time.Minute)
			if n := log.Count(said); n != want {
				t.Errorf("%d lines, want %d:\n%s", n, want, log)
			}
		}
		push(0)
		readings = []netatmo.Reading{outdoor("02:01", time.Now(), 20), outdoor("02:02", time.Now(), 21)}
		b.answer = func(*colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
			return nil, status.Error(codes.Unavailable, "away")
		}
		push(0)
		b.answer = nil
		push(1)
		push(1)
		if log.Count(said+`" readings=2`) != 1 {
			t.Errorf("the log:\n%s", log)
		}
	})
}
