package telemetry

import (
	"testing"
	"time"

	"netatmo-agent/agent/logtest"
	"netatmo-agent/agent/netatmo"
)

// The amounts of a bucket are points at its end, one for each tariff, and never
// repeated by a live push.
func TestAmountsByTariff(t *testing.T) {
	b := &backend{}
	p := newTestPusher(t, b, &logtest.Log{}, nil)
	end := time.Now().Add(-2 * time.Hour).Truncate(netatmo.Bucket)
	meter := netatmo.Reading{Family: netatmo.Control, ModuleID: "m", ModuleName: "Oven", ModuleType: netatmo.TypePlug, HomeID: "h", RoomName: "Kitchen"}
	samples := []netatmo.Sample{
		{Time: end, Values: netatmo.Values{{Field: netatmo.EnergyPeak, Number: 14}, {Field: netatmo.EnergyOffPeak, Number: 23}}},
		{Time: end.Add(netatmo.Bucket), Values: netatmo.Values{{Field: netatmo.EnergyTotal, Number: 7}}},
		{Time: end.Add(2 * netatmo.Bucket), Values: netatmo.Values{{Field: netatmo.EnergyBasic, Number: 0}, {Field: netatmo.GasAmount, Number: 3}}},
	}
	if d, err := p.PushHistory(t.Context(), meter, samples); d.Accepted != 3 || d.Refused != 0 || err != nil {
		t.Fatalf("%+v, %v", d, err)
	}
	for _, want := range []struct {
		metric, series string
		at             int
		value          float64
	}{
		{"netatmo.energy.amount", "tariff=peak", 0, 14},
		{"netatmo.energy.amount", "tariff=off_peak", 0, 23},
		{"netatmo.energy.amount", "tariff=total", 1, 7},
		{"netatmo.energy.amount", "tariff=basic", 2, 0},
		{"netatmo.gas.amount", "module.id=m,", 2, 3},
	} {
		got := b.held(want.metric, want.series)
		v, has := got[samples[want.at].Time]
		if !has || v != want.value || len(got) != 1 {
			t.Errorf("%s %s: %v, want %g at %s alone", want.metric, want.series, got, want.value, samples[want.at].Time)
		}
	}
}
