package simcloud_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
)

func TestOfflineStationUploadsItsBuffer(t *testing.T) {
	r := newRig(t, simcloud.Options{})
	station, garden := r.Modules()[0], r.Modules()[1]
	before := measured(r.device(garden.ID))
	r.SetOffline(station.ID, true)
	away := r.now

	r.now = away.Add(50 * time.Minute)
	if d := r.device(garden.ID); measured(d) != before || d["reachable"] != true {
		t.Errorf("after 50 minutes offline: %v", d)
	}
	if held := r.Held(garden.ID, "Temperature", away, r.now); len(held) != 0 {
		t.Errorf("%d samples were uploaded while offline", len(held))
	}
	r.now = away.Add(2 * time.Hour)
	if d := r.device(garden.ID); d["dashboard_data"] != nil || d["reachable"] != false {
		t.Errorf("module after two hours offline: %v", d)
	}
	if d := r.device(station.ID); measured(d) == 0 {
		t.Errorf("station after two hours offline: %v", d)
	}
	r.now = away.Add(5 * time.Hour)
	if d := r.device(station.ID); d["dashboard_data"] != nil || d["reachable"] != false {
		t.Errorf("station after five hours offline: %v", d)
	}

	r.SetOffline(station.ID, false)
	if n := len(r.Held(garden.ID, "Temperature", away, r.now)); n < 57 || n > 61 {
		t.Errorf("%d samples of five hours after the return", n)
	}
	d := r.device(garden.ID)
	if age := r.now.Unix() - measured(d); age > 700 || d["reachable"] != true {
		t.Errorf("live after the return: %v, %d s old", d, age)
	}
	if v, _, ok := r.ValueAt(garden.ID, "Temperature", away.Add(2*time.Hour)); ok {
		t.Errorf("ValueAt says %v for a time when the cloud had nothing", v)
	}
}

func TestUnreachableModuleLosesItsSamples(t *testing.T) {
	r := newRig(t, simcloud.Options{})
	garden, bedroom := r.Modules()[1], r.Modules()[2]
	r.SetUnreachable(garden.ID, true)
	away := r.now
	r.now = away.Add(3 * time.Hour)
	if d := r.device(garden.ID); d["reachable"] != false || d["dashboard_data"] != nil || d["module_name"] != "Garden" {
		t.Errorf("unreachable: %v", d)
	}
	if measured(r.device(bedroom.ID)) == 0 {
		t.Error("another module lost its values")
	}
	r.SetUnreachable(garden.ID, false)
	r.now = away.Add(6 * time.Hour)
	if n := len(r.Held(garden.ID, "Temperature", away, r.now)); n < 33 || n > 37 {
		t.Errorf("%d samples of six hours of which it was away for three", n)
	}
	if n := len(r.Held(bedroom.ID, "Temperature", away, r.now)); n < 68 {
		t.Errorf("the other module has %d samples of six hours", n)
	}
}

func TestRemovedModule(t *testing.T) {
	r := newRig(t, simcloud.Options{})
	garden := r.Modules()[1]
	r.RemoveModule(garden.ID)
	if r.device(garden.ID) != nil || len(r.Held(garden.ID, "Temperature", begin.AddDate(0, 0, -1), begin)) > 0 ||
		slices.ContainsFunc(r.Modules(), func(m simcloud.Module) bool { return m.ID == garden.ID }) {
		t.Error("the module is still there")
	}
	w := r.request("getmeasure", "device_id", garden.StationID, "module_id", garden.ID, "scale", "max", "type", "temperature")
	if w.Code != 400 || !strings.Contains(w.Body.String(), `"code":21`) {
		t.Errorf("history of a removed module: %d %s", w.Code, w.Body)
	}
}

func TestFrozenData(t *testing.T) {
	r := newRig(t, simcloud.Options{})
	garden := r.Modules()[1]
	r.Freeze(true)
	before := measured(r.device(garden.ID))
	r.now = begin.Add(12 * time.Hour)
	if d := r.device(garden.ID); measured(d) != before || d["reachable"] != true {
		t.Errorf("frozen for 12 hours: %v", d)
	}
	if n := len(r.Held(garden.ID, "Humidity", begin, r.now)); n != 0 {
		t.Errorf("%d samples came in while frozen", n)
	}
	r.Freeze(false)
	if n := len(r.Held(garden.ID, "Humidity", begin, r.now)); n < 138 {
		t.Errorf("%d samples of twelve hours after the thaw", n)
	}
}
